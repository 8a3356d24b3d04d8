// The input is one text; each of the four readings is tried, and base64.

#include "protocol/sasl.h"
#include "tests/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace sallyport::protocol::sasl;
    using sallyport::fuzz::require;
    const auto text = sallyport::fuzz::as_text(data, size);

    if (const auto m = client_first::parse(text)) {
        require(format_client_first_bare(m->username, m->nonce) == m->bare, "client-first");
        require(std::string(m->gs2_header) + std::string(m->bare) == text, "gs2 header and bare");
    }
    if (const auto m = server_first::parse(text))
        require(format_server_first(m->nonce, m->salt, m->iterations) == text, "server-first");
    if (const auto m = client_final::parse(text)) {
        require(format_client_final_without_proof(m->channel_binding, m->nonce) == m->without_proof,
                "client-final without proof");
        require(format_client_final(m->without_proof, m->proof) == text, "client-final");
        require(m->proof.size() == key_bytes, "a proof has 32 bytes");
    }
    if (const auto m = server_final::parse(text))
        require((m->error.empty() ? format_server_final(m->signature)
                                  : format_server_error(m->error)) == text,
                "server-final");
    if (const auto raw = base64_decode(text)) require(base64_encode(*raw) == text, "base64");
    require(base64_decode(base64_encode(text)) == std::string(text), "base64 of anything");
    return 0;
}
