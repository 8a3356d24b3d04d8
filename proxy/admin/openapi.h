#pragma once

#include <string_view>

/// The description of the HTTP API.
namespace sallyport::proxy::admin {

/// proxy/admin/openapi.json as it was at the build: OpenAPI 3.1.
extern const std::string_view openapi_document;

}  // namespace sallyport::proxy::admin
