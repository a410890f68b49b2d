// Decoder of HEIC for browsers without one: libheif as WebAssembly. Half a megabyte, loaded when it is needed.
import createLibheif, { type HeifDecoder, type HeifImage } from "libheif-js/libheif-wasm/libheif.js";
import wasmUrl from "libheif-js/libheif-wasm/libheif.wasm?url";
import { colorSpaceOf } from "./colorSpace";

// One for all photos, since it frees a file's memory when it reads the next.
const decoder = load();

async function load(): Promise<HeifDecoder> {
  const response = await fetch(wasmUrl);
  if (!response.ok) throw new Error(`libheif: status ${response.status}`);
  const { HeifDecoder } = createLibheif({ wasmBinary: await response.arrayBuffer() });
  return new HeifDecoder();
}

/** Resolves when photos can be decoded. Rejects if the decoder can't be loaded. */
export async function ready(): Promise<void> {
  await decoder;
}

/**
 * Decode the main picture of a HEIC file, upright: libheif turns it as the container says.
 *
 * @throws Error if it can't be decoded.
 */
export async function decodeHeif(file: Uint8Array): Promise<ImageData> {
  const images = (await decoder).decode(file);
  try {
    const image = images.find((candidate) => candidate.is_primary());
    if (!image) throw new Error("libheif: no primary picture");
    return await pixelsOf(image, colorSpaceOf(file));
  } finally {
    for (const image of images) image.free();
  }
}

function pixelsOf(image: HeifImage, colorSpace: PredefinedColorSpace): Promise<ImageData> {
  const pixels = new ImageData(image.get_width(), image.get_height(), { colorSpace });
  return new Promise((resolve, reject) => {
    image.display(pixels, (displayed) =>
      displayed ? resolve(displayed) : reject(new Error("libheif: not decodable")),
    );
  });
}
