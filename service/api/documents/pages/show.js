// Shows the service's OpenAPI document: with Swagger UI on one page, with Redoc on the other.
const place = document.querySelector("[data-document]");
if (window.SwaggerUIBundle) {
  SwaggerUIBundle({
    domNode: place,
    url: place.dataset.document,
    deepLinking: true,
    displayRequestDuration: true,
    validatorUrl: null, // it would send the document to another host
    presets: [SwaggerUIBundle.presets.apis],
    layout: "BaseLayout",
  });
} else {
  // Its search runs in a worker made of text, which the policy of the page does not allow.
  Redoc.init(place.dataset.document, { disableSearch: true, hideDownloadButton: false }, place);
}
