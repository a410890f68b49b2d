// What we use of libheif-js. Its own types describe the C functions only.
declare module "libheif-js/libheif-wasm/libheif.js" {
  export interface HeifImage {
    get_width(): number;
    get_height(): number;
    is_primary(): boolean;
    /** Decode into *pixels* (RGBA, transformed as the file says) and call back, with null if that failed. */
    display(pixels: ImageData, callback: (displayed: ImageData | null) => void): void;
    free(): void;
  }

  export interface HeifDecoder {
    /** The file's pictures, which are decoded when they are displayed. None if it can't be read. */
    decode(file: Uint8Array): HeifImage[];
  }

  export interface Libheif {
    HeifDecoder: new () => HeifDecoder;
  }

  export default function createLibheif(options: { wasmBinary: ArrayBuffer }): Libheif;
}
