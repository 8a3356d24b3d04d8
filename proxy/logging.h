#pragma once

#include "proxy/config.h"

namespace sallyport::proxy {

/// Logs go to stderr, one line each; control characters in a message are escaped, so that what a
/// client sends cannot forge a line. json: one object per line, with what log_ids says besides
/// `time`, `level` and `message`.
void set_up_logging(log_level level, log_format format);

}  // namespace sallyport::proxy
