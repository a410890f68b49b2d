import { describe, expect, it } from "vitest";
import { captionsIn, postsFormat, repairEncoding } from "./instagram";

/** As Instagram writes it: each byte of UTF-8 as a character. */
const damaged = (text: string) => String.fromCharCode(...new TextEncoder().encode(text));

describe("postsFormat", () => {
  it.each([
    ["your_instagram_activity/content/posts_1.json", "json"],
    ["your_instagram_activity/media/posts_12.json", "json"],
    ["content/posts_1.json", "json"],
    ["instagram-me-2026-01-02-x/your_instagram_activity/media/reels.json", "json"],
    ["your_instagram_activity/media/archived_posts.json", "json"],
    ["your_instagram_activity/media/posts_1.html", "html"],
    ["your_instagram_activity/media/stories.json", null],
    ["your_instagram_activity/media/reposts.json", null],
    ["media/posts/202601/picture.jpg", null],
    ["your_instagram_activity/messages/inbox/posts_1.json", null],
  ])("of %s is %s", (path, format) => {
    expect(postsFormat(path)).toBe(format);
  });
});

describe("repairEncoding", () => {
  it.each(["Fog 🌉 über San José", "ليلة هادئة", "日本の夜", "plain"])("repairs %s", (text) => {
    expect(repairEncoding(damaged(text))).toBe(text);
  });

  it("leaves alone what is not damaged", () => {
    for (const text of ["Fog 🌉", "café", "naïve – yes"]) expect(repairEncoding(text)).toBe(text);
  });
});

describe("captionsIn", () => {
  it("reads posts of one picture, carousels and reels", () => {
    const posts = [
      { media: [{ uri: "a.jpg", creation_timestamp: 3, title: damaged("One picture 🌉") }] },
      { media: [{ uri: "b.jpg", title: "" }, { uri: "c.mp4" }], title: "A carousel", creation_timestamp: 2 },
      { media: [{ uri: "d.mp4", creation_timestamp: 1, title: "" }] },
    ];
    expect(captionsIn(posts)).toEqual([
      { text: "One picture 🌉", postedAt: 3 },
      { text: "A carousel", postedAt: 2 },
    ]);
    expect(captionsIn({ ig_reels_media: [{ media: [{ title: "A reel", creation_timestamp: 5 }] }] })).toEqual(
      [{ text: "A reel", postedAt: 5 }],
    );
  });

  it.each([null, 7, "text", {}, [null, 1, "x"], [{ media: "none", title: 5 }], { other: { media: [] } }])(
    "finds nothing in %j",
    (content) => {
      expect(captionsIn(content)).toEqual([]);
    },
  );
});
