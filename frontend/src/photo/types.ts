/** A photo as it is uploaded: upright, scaled down, JPEG, without metadata. */
export interface PreparedPhoto {
  id: string;
  /** The file's name, to name it in messages. It is not sent. */
  name: string;
  jpeg: Blob;
  /** Pixels. */
  width: number;
  height: number;
  /** An object URL of *jpeg*, revoked when the photo is removed. */
  url: string;
}
