// The input is one tag and the body behind it; the length field is made here.

#include "protocol/frame.h"
#include "protocol/frontend.h"
#include "protocol/trace.h"
#include "tests/fuzz/check.h"

namespace {

using namespace sallyport::protocol;
using sallyport::fuzz::require;

/// Whatever is accepted is written again byte for byte: nothing in it was overlooked.
template <class Message>
void check(char tag, bytes body, const std::string& framed) {
    if (tag != Message::tag) return;
    const auto m = Message::decode(body);
    if (!m) return;
    std::string again;
    m->encode(again);
    require(again == framed, "an accepted message comes back byte for byte");
}

void check_prefix(char tag, bytes body) {
    if (tag != frontend::bind::tag) return;
    const auto whole = frontend::bind::decode(body);
    if (!whole) return;
    const auto prefix = frontend::bind_prefix::decode(body);
    require(prefix && prefix->portal == whole->portal && prefix->statement == whole->statement,
            "the prefix of a Bind has its names");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto input = sallyport::fuzz::as_text(data, size);
    if (input.empty()) return 0;
    const char tag = input.front();
    const auto body = input.substr(1);
    std::string framed;
    writer w(framed);
    w.begin_message(tag);
    w.raw(body);
    w.end_message();

    check<frontend::query>(tag, body, framed);
    check<frontend::parse>(tag, body, framed);
    check<frontend::bind>(tag, body, framed);
    check<frontend::execute>(tag, body, framed);
    check<frontend::describe>(tag, body, framed);
    check<frontend::close>(tag, body, framed);
    check<frontend::function_call>(tag, body, framed);
    check<frontend::copy_data>(tag, body, framed);
    check<frontend::copy_done>(tag, body, framed);
    check<frontend::copy_fail>(tag, body, framed);
    check<frontend::flush>(tag, body, framed);
    check<frontend::sync>(tag, body, framed);
    check<frontend::terminate>(tag, body, framed);
    check<frontend::password>(tag, body, framed);
    check<frontend::sasl_initial_response>(tag, body, framed);
    check<frontend::sasl_response>(tag, body, framed);
    check_prefix(tag, body);
    sallyport::fuzz::require_printable(trace_frontend(framed));
    sallyport::fuzz::require_printable(trace_frontend(input));
    return 0;
}
