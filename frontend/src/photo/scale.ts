// Sizes in pixels.

export interface Size {
  width: number;
  height: number;
}

/** The largest size of the same shape whose longer side has at most *limit* pixels. Never enlarges. */
export function fitWithin({ width, height }: Size, limit: number): Size {
  const factor = Math.min(1, limit / Math.max(width, height));
  return {
    width: Math.max(1, Math.round(width * factor)),
    height: Math.max(1, Math.round(height * factor)),
  };
}

/**
 * The width to decode a photo with, if that is cheaper than decoding it whole.
 *
 * Whether a browser resizes before or after it turns a photo upright is not specified. So a side is only reduced
 * if both are longer than *limit*: whichever it is, no side is enlarged, and the longer one keeps *limit* pixels.
 */
export function reducedWidth({ width, height }: Size, limit: number): number | undefined {
  return Math.min(width, height) > limit ? limit : undefined;
}
