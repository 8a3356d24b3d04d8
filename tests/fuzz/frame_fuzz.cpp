// The input is a byte that picks direction and sizes of reads, and a stream of messages. However
// the stream is cut into reads, the same messages and the same fault come out.

#include <vector>

#include "protocol/frame.h"
#include "tests/fuzz/check.h"

namespace {

using namespace sallyport::protocol;
using sallyport::fuzz::require;

struct outcome {
    std::vector<std::string> messages;  ///< the last one may be unfinished
    errc end = errc::need_more;
    std::string unread;

    friend bool operator==(const outcome&, const outcome&) = default;
};

/// Small pseudo-random numbers that the input decides.
struct sizes {
    std::uint32_t state;
    std::size_t next() {
        state = state * 1'664'525 + 1'013'904'223;
        return 1 + (state >> 24) % 13;
    }
};

/// Pumps the stream through a splitter, `take` being called on what has been read so far.
template <class Take>
void pump(bytes stream, sizes reads, std::string& kept, Take take) {
    while (!stream.empty()) {
        const auto n = std::min(reads.next(), stream.size());
        kept += stream.substr(0, n);
        stream.remove_prefix(n);
        bytes input = kept;
        if (!take(input)) {
            kept = std::string(input) + std::string(stream);
            return;
        }
        require(input.size() < frame_header_bytes, "only a cut header waits");
        kept = std::string(input);
    }
}

outcome split(bytes stream, const frame_limits& limits, sizes reads) {
    outcome out;
    frame_splitter splitter(limits);
    pump(stream, reads, out.unread, [&](bytes& input) {
        for (;;) {
            const auto scan = splitter.next(input);
            out.end = scan.error;
            if (scan.error != errc::ok) return scan.error == errc::need_more;
            if (scan.value.first) out.messages.emplace_back();
            out.messages.back() += scan.value.data;
            require(
                scan.value.last == (out.messages.back().size() == scan.value.header.frame_bytes()),
                "a message ends where its header says");
        }
    });
    return out;
}

outcome split_at_once(bytes stream, const frame_limits& limits) {
    outcome out;
    frame_splitter splitter(limits);
    auto scan = splitter.next(stream);
    for (; scan.error == errc::ok; scan = splitter.next(stream)) {
        require(scan.value.first, "with all bytes there each message is one piece");
        out.messages.emplace_back(scan.value.data);
    }
    out.end = scan.error;
    out.unread = stream;
    return out;
}

/// Runs and single messages by turns: the forwarded bytes must be the stream.
std::string forward(bytes stream, const frame_limits& limits, const tag_set& stop, sizes reads) {
    std::string out;
    std::string unread;
    frame_splitter splitter(limits);
    pump(stream, reads, unread, [&](bytes& input) {
        for (;;) {
            out += splitter.take_run(input, stop);
            const auto scan = splitter.next(input);
            if (scan.error != errc::ok) return scan.error == errc::need_more;
            require(!scan.value.first || stop.contains(scan.value.header.tag),
                    "a run ends only before a message that must be seen");
            out += scan.value.data;
        }
    });
    return out + unread;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto input = sallyport::fuzz::as_text(data, size);
    if (input.empty()) return 0;
    const auto choice = static_cast<unsigned char>(input.front());
    const auto stream = input.substr(1);
    const auto& limits = choice % 2 == 0 ? frontend_limits : backend_limits;
    const sizes reads{choice};

    const auto expected = split_at_once(stream, limits);
    const auto got = split(stream, limits, reads);
    // The empty stream has no read, and so no end other than the initial one.
    require(got == expected, "cutting a stream into reads changes nothing");

    require(forward(stream, limits, tag_set("QPEZC"), reads) == stream,
            "runs and messages together are the stream");
    return 0;
}
