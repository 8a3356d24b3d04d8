// The input is one startup packet.

#include "protocol/startup.h"
#include "protocol/trace.h"
#include "tests/fuzz/check.h"

namespace {

using namespace sallyport::protocol;
using sallyport::fuzz::require;

struct encoder {
    std::string& out;

    void operator()(const startup_message& m) const {
        std::vector<parameter> more;
        for (const auto& p : m.parameters)
            if (p.name != "user" && p.name != "database") more.push_back(p);
        encode_startup_message(out, m.user, m.database, more);
    }
    void operator()(ssl_request) const { encode_ssl_request(out); }
    void operator()(gssenc_request) const { encode_gssenc_request(out); }
    void operator()(const cancel_request& m) const { encode_cancel_request(out, m); }
    void operator()(unsupported_version) const {}
};

void check_message(const startup_message& sent, const std::string& encoded) {
    require(!sent.user.empty() && sent.user.size() <= 63, "a user has 1 to 63 bytes");
    require(!sent.database.empty() && sent.database.size() <= 63, "a database has 1 to 63 bytes");
    const auto again = decode_startup(encoded);
    // Names that were left out are written out, so a packet at the cap may grow beyond it.
    if (!again) return require(encoded.size() > 10'004, "what was accepted is accepted again");
    const auto& got = std::get<startup_message>(*again);
    require(got.user == sent.user && got.database == sent.database, "names come back");
    for (const auto& p : sent.parameters) {
        if (p.name == "user" || p.name == "database") continue;
        const auto* value = got.find(p.name);
        require(value && *value == p.value, "parameters come back");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto input = sallyport::fuzz::as_text(data, size);
    sallyport::fuzz::require_printable(trace_startup(input));
    const auto packet = decode_startup(input);
    if (!packet) return 0;
    std::string encoded;
    std::visit(encoder{encoded}, *packet);
    if (const auto* m = std::get_if<startup_message>(&*packet))
        check_message(*m, encoded);
    else if (!std::holds_alternative<unsupported_version>(*packet))
        require(encoded == input, "requests come back byte for byte");
    return 0;
}
