// The input is one tag and the body behind it; the length field is made here.

#include "protocol/backend.h"
#include "protocol/trace.h"
#include "tests/fuzz/check.h"

namespace {

using namespace sallyport::protocol;
using namespace sallyport::protocol::backend;
using sallyport::fuzz::require;

/// Whatever is accepted is written again byte for byte: nothing in it was overlooked.
template <class Message>
void check(char tag, bytes body, const std::string& framed) {
    if (tag != Message::tag) return;
    const auto m = Message::decode(body);
    if (!m) return;
    std::string again;
    m->encode(again);
    if constexpr (std::is_same_v<Message, authentication>)
        if (std::holds_alternative<authentication_unsupported>(m->request)) return;
    if constexpr (std::is_same_v<Message, command_complete>) (void)m->row_count();
    require(again == framed, "an accepted message comes back byte for byte");
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

    check<authentication>(tag, body, framed);
    check<backend_key_data>(tag, body, framed);
    check<parameter_status>(tag, body, framed);
    check<ready_for_query>(tag, body, framed);
    check<negotiate_protocol_version>(tag, body, framed);
    check<notification_response>(tag, body, framed);
    check<error_response>(tag, body, framed);
    check<notice_response>(tag, body, framed);
    check<row_description>(tag, body, framed);
    check<data_row>(tag, body, framed);
    check<command_complete>(tag, body, framed);
    check<parameter_description>(tag, body, framed);
    check<function_call_response>(tag, body, framed);
    check<copy_in_response>(tag, body, framed);
    check<copy_out_response>(tag, body, framed);
    check<copy_both_response>(tag, body, framed);
    check<empty_query_response>(tag, body, framed);
    check<no_data>(tag, body, framed);
    sallyport::fuzz::require_printable(trace_backend(framed));
    sallyport::fuzz::require_printable(trace_backend(input));
    return 0;
}
