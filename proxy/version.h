#pragma once

namespace sallyport::proxy {
inline constexpr const char* version = "0.1.0";
}
