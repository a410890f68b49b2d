// Without a global `mermaid`, the theme loads Mermaid from a CDN. This one stands in for it, and loads the copy next to
// this file once a page has a diagram.
(() => {
  const source = new URL("mermaid.tiny.js", document.currentScript.src).href;
  let options;
  let library;

  const load = () =>
    (library ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = source;
      script.onload = () => {
        window.mermaid.initialize(options);
        resolve(window.mermaid);
      };
      script.onerror = () => reject(new Error(`${source} can't be loaded`));
      document.head.append(script);
    }));

  window.mermaid = {
    initialize(wanted) {
      options = wanted;
    },
    render: (...diagram) => load().then((mermaid) => mermaid.render(...diagram)),
  };
})();
