#pragma once

#include <optional>
#include <vector>

#include "proxy/admin/console_command.h"
#include "proxy/admin/console_lexer.h"

/// What drivers and psql say to any server, before anybody has typed a word. Pure.
namespace sallyport::proxy::admin {

[[nodiscard]] std::optional<command> driver_chatter(const std::vector<token>& t);

}  // namespace sallyport::proxy::admin
