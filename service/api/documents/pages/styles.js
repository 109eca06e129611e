// Lets a program style this page that writes <style> elements, which the page's policy forbids: what it writes becomes
// a sheet that scripts construct, which the policy allows, and the element a template that shows nothing.
const create = document.createElement.bind(document);
document.createElement = (name, options) => {
  if (String(name).toLowerCase() !== "style") return create(name, options);
  const sheet = new CSSStyleSheet();
  document.adoptedStyleSheets.push(sheet);
  const element = create("template");
  Object.defineProperty(element, "sheet", { value: sheet });
  element.appendChild = (node) => {
    if (node.data) sheet.replaceSync(node.data);
    return node;
  };
  return element;
};
