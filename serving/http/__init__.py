"""HTTP layer: request parsing, schemas, problem details, the OpenAPI document and the API documentation."""
