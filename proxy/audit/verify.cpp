#include "proxy/audit/verify.h"

#include <charconv>
#include <deque>
#include <stdexcept>
#include <vector>

#include "proxy/audit/chain.h"
#include "proxy/audit/keys.h"
#include "proxy/audit/segments.h"

namespace sallyport::proxy::audit {

namespace {

constexpr std::uint64_t progress_lines = 5'000;

/// A line with what is needed of it to compare it with its neighbours.
struct seen_line {
    source_line source;
    std::optional<parsed_line> parsed;
    std::string hash;

    [[nodiscard]] bool is(std::uint64_t sequence, std::string_view prev) const {
        return parsed && parsed->sequence == sequence && parsed->prev == prev;
    }
};

class verifier {
  public:
    verifier(line_source& lines, const public_key& key, const verify_options& options,
             std::string_view signed_head)
        : lines_(lines), key_(key), options_(options) {
        if (options.expected_head) heads_.push_back(*options.expected_head);
        learn_signed_head(signed_head);
    }

    verify_report run() {
        while (report_.ok()) {
            auto* line = peek(0);
            if (!line) break;
            if (!step(*line)) return std::move(report_);
            previous_ = std::move(*line);
            ahead_.pop_front();
            if (++looked_at_ % progress_lines == 0 && options_.progress)
                options_.progress(looked_at_);
        }
        check_end();
        return std::move(report_);
    }

  private:
    /// The line `n` after the current position, null if there is none.
    seen_line* peek(std::size_t n) {
        while (ahead_.size() <= n) {
            auto source = lines_.next();
            if (!source) return nullptr;
            seen_line line;
            line.source = std::move(*source);
            if (line.source.missing.empty() && !line.source.too_long) {
                line.parsed = parse_line(line.source.bytes);
                line.hash = hash_line(line.source.bytes);
            }
            ahead_.push_back(std::move(line));
        }
        return &ahead_[n];
    }

    void learn_signed_head(std::string_view text) {
        if (text.empty()) {
            report_.note =
                "no audit.head beside the files: a cut tail shows only against a head "
                "kept elsewhere";
            return;
        }
        const auto line = parse_line(text);
        if (!line || !is_checkpoint(*line) || !signature_is_good(*line)) {
            report_.note = "audit.head is not a checkpoint signed by this key; it was not used";
            return;
        }
        heads_.push_back({line->sequence, hash_line(text)});
    }

    static bool is_checkpoint(const parsed_line& line) { return line.event == checkpoint_event; }

    bool signature_is_good(const parsed_line& line) const {
        std::uint64_t head_sequence = 0;
        const auto text = line.field("head_seq");
        const auto [end, error] =
            std::from_chars(text.data(), text.data() + text.size(), head_sequence);
        return error == std::errc{} && end == text.data() + text.size() &&
               head_sequence + 1 == line.sequence && line.field("head") == line.prev &&
               key_.verify(checkpoint_message(head_sequence, line.prev, line.time),
                           line.field("signature"));
    }

    bool fail(damage what, const source_line& at, std::string text) {
        report_.what = what;
        report_.file = at.file;
        report_.line = at.number;
        report_.text = std::move(text);
        return false;
    }

    /// Checks one line against what came before; false when the report is made.
    bool step(const seen_line& line) {
        const auto& at = line.source;
        if (!at.missing.empty())
            return fail(at.unreadable ? damage::unreadable : damage::missing_segment, at,
                        at.missing);
        if (at.too_long)
            return fail(damage::line_too_long, at,
                        "this line is longer than any that the log writes: edited or inserted");
        if (!at.complete) return report_incomplete(at);
        if (!started_ && !start(line)) return false;
        if (!line.is(expected_, expected_prev_)) return report_break(line);
        if (at.number == 1 && !is_checkpoint(*line.parsed))
            return fail(damage::unsigned_segment, at, "this file does not begin with a checkpoint");
        if (is_checkpoint(*line.parsed) && !check_signature(line)) return false;
        for (const auto& head : heads_)
            if (head.sequence == expected_ && head.hash != line.hash)
                return fail(damage::edited, at,
                            "differs from the head known for number " + std::to_string(expected_) +
                                ": this line or one before it was written anew");
        ++report_.records;
        report_.head = {expected_, line.hash};
        ++expected_;
        expected_prev_ = line.hash;
        return true;
    }

    bool report_incomplete(const source_line& at) {
        if (!peek(1))
            return fail(damage::torn_line, at,
                        "the last line has no end: a crash or a cut; the log repairs this at its "
                        "next start and keeps what was there in a .torn file");
        return fail(damage::edited, at, "this file ends in the middle of a line");
    }

    bool start(const seen_line& line) {
        started_ = true;
        if (!options_.may_start_later || !line.parsed) return true;
        expected_ = line.parsed->sequence;
        expected_prev_ = line.parsed->prev;
        return true;
    }

    bool check_signature(const seen_line& line) {
        if (!signature_is_good(*line.parsed)) {
            const auto id = std::string(line.parsed->field("key"));
            return fail(
                damage::bad_signature, line.source,
                id == key_.id()
                    ? "the signature of this checkpoint is wrong: it was edited or forged"
                    : "this checkpoint names key " + id + ", the public key given is " + key_.id());
        }
        ++report_.checkpoints;
        report_.signed_through = line.parsed->sequence - 1;
        return true;
    }

    /// The line does not follow from the one before. Says which of the two is to blame, and for
    /// what, by looking at up to two lines that follow.
    bool report_break(const seen_line& line) {
        const auto* next = peek(1);
        const auto number = std::to_string(expected_);
        const auto& at = ahead_.front().source;
        const bool next_fits = next && next->is(expected_, expected_prev_);
        if (!line.parsed)
            return next_fits ? fail(damage::inserted, at, "this line was not written by the log")
                             : fail(damage::edited, at, "this line is not of the log's format");
        const auto& parsed = *ahead_.front().parsed;
        if (parsed.sequence == expected_) return report_hash_break(next);
        if (parsed.prev == expected_prev_)
            return next_fits ? fail(damage::inserted, at, "this line was not written by the log")
                             : fail(damage::edited, at,
                                    "numbered " + std::to_string(parsed.sequence) + " instead of " +
                                        number);
        if (previous_.parsed && parsed.sequence + 1 == expected_ &&
            parsed.prev == previous_.parsed->prev)
            return report_double(next);
        return report_order(parsed, next, next_fits);
    }

    /// Right number, wrong hash: the line before was edited, or this one's `prev`.
    bool report_hash_break(const seen_line* next) {
        const auto& line = ahead_.front();
        const bool follower_agrees = next && next->parsed && next->parsed->prev == line.hash;
        const bool vouched = is_checkpoint(*line.parsed) && signature_is_good(*line.parsed);
        // A checkpoint names the hash twice: where only one of the two is wrong, it is this line.
        const bool names_it_right =
            is_checkpoint(*line.parsed) && line.parsed->field("head") == expected_prev_;
        if (previous_.parsed && !names_it_right && (vouched || follower_agrees || !next)) {
            --report_.records;
            return fail(damage::edited, previous_.source,
                        "its hash is not the one that the line after it gives");
        }
        return fail(damage::edited, line.source, "it does not give the hash of the line before it");
    }

    /// Two lines claim the same place; the one that the next line builds on is the true one.
    bool report_double(const seen_line* next) {
        const auto& line = ahead_.front();
        const bool previous_is_true = !next || !next->parsed ||
                                      next->parsed->prev == previous_.hash ||
                                      next->parsed->prev != line.hash;
        return fail(damage::inserted, previous_is_true ? line.source : previous_.source,
                    "a second line with number " + std::to_string(expected_ - 1) +
                        ": it was not written by the log");
    }

    bool report_order(const parsed_line& parsed, const seen_line* next, bool next_fits) {
        const auto& line = ahead_.front();
        const auto& at = line.source;
        const auto found = std::to_string(parsed.sequence);
        const auto wanted = std::to_string(expected_);
        if (next_fits) {
            const auto* third = peek(2);
            const bool third_follows =
                !third || (third->parsed && third->parsed->sequence == expected_ + 2);
            const auto& second = ahead_[1];
            if (parsed.sequence == expected_ + 1 && parsed.prev == second.hash && third_follows)
                return fail(damage::swapped, ahead_.front().source,
                            "numbers " + wanted + " and " + found + " changed places");
            return fail(damage::inserted, ahead_.front().source,
                        "number " + found + " stands before number " + wanted +
                            ": it was inserted or moved");
        }
        const bool run_goes_on =
            !next || (next->parsed && next->parsed->sequence == parsed.sequence + 1);
        if (parsed.sequence > expected_ && run_goes_on)
            return fail(damage::deleted, at,
                        "number " + wanted + " expected, " + found +
                            " found: " + std::to_string(parsed.sequence - expected_) +
                            " lines before this one are gone");
        if (next && next->parsed && next->parsed->sequence == expected_ + 1)
            return fail(damage::swapped, at,
                        "number " + found + " stands in the place of " + wanted);
        return fail(damage::sequence_gap, at,
                    "number " + wanted + " expected, " + found + " found");
    }

    void check_end() {
        if (!report_.ok()) return;
        if (!started_) {
            report_.what = damage::unreadable;
            report_.text = "there is no audit log here";
            return;
        }
        for (const auto& head : heads_) {
            if (head.sequence <= report_.head.sequence) continue;
            fail(damage::cut_tail, previous_.source,
                 "the log ends at number " + std::to_string(report_.head.sequence) +
                     ", but number " + std::to_string(head.sequence) + " is known to have existed");
            return;
        }
    }

    line_source& lines_;
    const public_key& key_;
    verify_options options_;
    std::uint64_t looked_at_ = 0;
    std::vector<known_head> heads_;
    std::deque<seen_line> ahead_;  // from the current line on, at most three
    seen_line previous_;
    bool started_ = false;
    std::uint64_t expected_ = 1;
    std::string expected_prev_{genesis_hash};
    verify_report report_;
};

}  // namespace

const char* to_string(damage d) noexcept {
    switch (d) {
        case damage::none:
            return "none";
        case damage::unreadable:
            return "unreadable";
        case damage::missing_segment:
            return "missing_segment";
        case damage::edited:
            return "edited";
        case damage::deleted:
            return "deleted";
        case damage::inserted:
            return "inserted";
        case damage::swapped:
            return "swapped";
        case damage::sequence_gap:
            return "sequence_gap";
        case damage::bad_signature:
            return "bad_signature";
        case damage::unsigned_segment:
            return "unsigned_segment";
        case damage::cut_tail:
            return "cut_tail";
        case damage::torn_line:
            return "torn_line";
        case damage::line_too_long:
            return "line_too_long";
    }
    return "unknown";
}

verify_report verify_lines(line_source& lines, std::string_view public_key_pem,
                           const verify_options& options, std::string_view signed_head) {
    const public_key key(public_key_pem);
    return verifier(lines, key, options, signed_head).run();
}

verify_report verify_directory(const std::string& directory, std::string_view public_key_pem,
                               const verify_options& options) {
    const public_key key(public_key_pem);
    std::vector<segment> segments;
    try {
        segments = list_segments(directory);
    } catch (const std::runtime_error& e) {
        verify_report report;
        report.what = damage::unreadable;
        report.text = e.what();
        return report;
    }
    segment_source lines(directory, std::move(segments), options.may_start_later ? 0 : 1);
    return verifier(lines, key, options, read_head_file(directory)).run();
}

}  // namespace sallyport::proxy::audit
