import { describe, expect, it } from "vitest";
import { altTextsOf, chosenHashtags, countHashtags, type Draft, draftOf, pasteText } from "./post";

const draft: Draft = {
  caption: " Fog over the #Bay ",
  hashtags: [
    { tag: "#bay", chosen: true, explanation: null },
    { tag: "#fog", chosen: true, explanation: null },
    { tag: "#sea", chosen: false, explanation: null },
  ],
};

describe("a draft", () => {
  it("is pasted without hashtags that the caption has already", () => {
    expect(chosenHashtags(draft)).toEqual(["#fog"]);
    expect(pasteText(draft)).toBe("Fog over the #Bay\n\n#fog");
    expect(countHashtags(draft)).toBe(2);
  });

  it("without hashtags is the caption alone, and without a caption the hashtags", () => {
    expect(pasteText({ ...draft, hashtags: [] })).toBe("Fog over the #Bay");
    expect(pasteText({ ...draft, caption: " " })).toBe("#bay #fog");
  });

  it("chooses what the service put into the text to paste", () => {
    const variant = {
      caption: "We love #fog.",
      hashtags: ["#fog", "#sea", "#bay"],
      post: "We love #fog.\n\n#sea",
    };
    expect(draftOf(variant).hashtags.filter(({ chosen }) => chosen)).toEqual([
      { tag: "#sea", chosen: true, explanation: null },
    ]);
  });
});

it("alt texts follow their photos", () => {
  const post = {
    id: "r1",
    variants: [],
    selected: 0,
    altTexts: ["A bridge.", "A boat."],
    notices: [],
    modelVersion: "demo/1",
  };
  expect(altTextsOf(post, ["p1", "p2"], ["p2", "p3", "p1"])).toEqual([
    { photo: 1, text: "A boat." },
    null,
    { photo: 0, text: "A bridge." },
  ]);
});
