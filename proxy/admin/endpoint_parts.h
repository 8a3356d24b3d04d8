#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "proxy/admin/api.h"
#include "proxy/admin/router.h"

/// What the handlers share. Internal to this folder.
namespace sallyport::proxy::admin::endpoints {

[[nodiscard]] http_response json_response(std::string body, unsigned status = 200);
[[nodiscard]] http_response bad_body(std::string why);
[[nodiscard]] http_response bad_query(std::string why);
/// Answers with what came of a change.
[[nodiscard]] desk::on_answer reply(const call& c, unsigned status = 200);
/// The number in the path; answers and returns nullopt when it is none.
[[nodiscard]] std::optional<std::uint64_t> number(const call& c);
/// "" when the query has only these keys.
[[nodiscard]] std::string check_keys(const call& c, const std::vector<std::string>& known);
[[nodiscard]] std::string value_of(const call& c, const std::string& key);
/// Runs `f`, which may block, elsewhere; its exceptions become a 500.
void elsewhere(const call& c, std::function<http_response()> f);

}  // namespace sallyport::proxy::admin::endpoints
