// The input is the value of an `options` startup parameter.

#include "protocol/startup.h"
#include "tests/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace sallyport::protocol;
    const auto parsed = parse_options_parameter(sallyport::fuzz::as_text(data, size));
    const auto again = parse_options_parameter(format_options_parameter(parsed.settings));
    sallyport::fuzz::require(again.settings == parsed.settings, "settings come back");
    sallyport::fuzz::require(again.unsupported.empty(), "what we write is understood");
    return 0;
}
