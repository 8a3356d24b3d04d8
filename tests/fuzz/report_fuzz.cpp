// The input is a text from anywhere that ends up in an error or a notice of ours.

#include "protocol/backend.h"
#include "protocol/frame.h"
#include "protocol/limits.h"
#include "tests/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace sallyport::protocol;
    using namespace sallyport::protocol::backend;
    using sallyport::fuzz::require;
    const auto text = sallyport::fuzz::as_text(data, size);

    const std::size_t cap = text.empty() ? 0 : static_cast<unsigned char>(text.front());
    const auto clean = sanitize_text(text, cap);
    require(clean.size() <= cap, "the cap holds");
    require(sanitize_text(clean, cap) == clean, "a clean text stays as it is");
    for (const char c : clean)
        require(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f, "no control characters");

    std::string out;
    append_report(out, {severity::error, text.substr(0, 5), text, text, text});
    const auto scan = try_read_header(out, backend_limits);
    require(scan.error == errc::ok && scan.header.frame_bytes() == out.size(), "one frame");
    const auto m = error_response::decode(bytes(out).substr(frame_header_bytes));
    require(m && m->fields.size() >= 4 && m->fields.size() <= 6, "no fields but ours");
    require(m->sqlstate().size() == 5, "a SQLSTATE has five characters");
    return 0;
}
