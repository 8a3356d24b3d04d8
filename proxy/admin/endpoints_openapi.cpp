#include "proxy/admin/endpoint_parts.h"
#include "proxy/admin/endpoints.h"
#include "proxy/admin/openapi.h"

/// The description of what the other handlers answer.
namespace sallyport::proxy::admin::endpoints {

void openapi(call c) {
    c.done(json_response(std::string(openapi_document)));
}

}  // namespace sallyport::proxy::admin::endpoints
