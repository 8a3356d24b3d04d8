#include <charconv>
#include <stdexcept>

#include <nlohmann/json.hpp>

#include "proxy/audit/keys.h"
#include "proxy/audit/segments.h"
#include "proxy/audit/story.h"

/// Bundles: the runs of lines that lead from each record of a story to the next signature.
namespace sallyport::proxy::audit {
namespace {

using json = nlohmann::ordered_json;

constexpr std::string_view format_name = "sallyport audit bundle 1";

struct log_head {
    std::uint64_t sequence = 0;
    std::string hash;
};

/// What the seal signs: the question, when, where the log stood, and the whole of the answer.
std::string seal_message(const std::string& about, const std::string& made_at, const log_head& head,
                         const std::vector<std::uint64_t>& sequences) {
    std::string out = std::string(format_name) + "\n" + about + "\n" + made_at + "\n" +
                      std::to_string(head.sequence) + "\n" + head.hash + "\n";
    for (const auto n : sequences)
        out += std::to_string(n) + "\n";
    return out;
}

/// Collects the runs while the log is shown to it line by line.
class bundler {
  public:
    explicit bundler(const story_subject& s) : filter_(s) {}

    void see(const source_line& raw) {
        auto line = raw.too_long ? std::nullopt : parse_line(raw.bytes);
        if (!line)
            throw std::runtime_error("line " + std::to_string(raw.number) + " of " + raw.file +
                                     " is damaged: no bundle is made over it");
        if (filter_.takes(*line)) {
            if (sequences.size() >= story_records_max)
                throw std::runtime_error("the story has more than " +
                                         std::to_string(story_records_max) + " records");
            sequences.push_back(line->sequence);
            in_run_ = true;
        }
        head.sequence = line->sequence;
        last_ = raw.bytes;
        if (!in_run_) return;
        lines += raw.bytes + "\n";
        if (lines.size() > bundle_bytes_max)
            throw std::runtime_error("the bundle would have more than 32 MiB");
        if (line->event == checkpoint_event) in_run_ = false;
    }

    void finish() {
        if (!last_.empty()) head.hash = hash_line(last_);
    }

    std::string lines;
    std::vector<std::uint64_t> sequences;
    log_head head;

  private:
    story_filter filter_;
    std::string last_;
    bool in_run_ = false;
};

bool read_number(std::string_view text, std::uint64_t& out) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc{} && end == text.data() + text.size() && out > 0;
}

/// Reads one bundle; the first fault ends it.
class bundle_reader {
  public:
    bundle_reader(std::string_view text, const public_key& key) : text_(text), key_(key) {}

    bundle_report run() {
        if (read_header()) read_lines();
        if (report_.fault.empty()) check_end();
        if (!report_.fault.empty()) report_.records.clear();
        return std::move(report_);
    }

  private:
    bool fail(std::string why) {
        if (report_.fault.empty()) report_.fault = std::move(why);
        return false;
    }

    bool next_line(std::string_view& line) {
        const auto end = text_.find('\n');
        if (end == std::string_view::npos) {
            if (!text_.empty()) return fail("it ends in the middle of a line");
            return false;
        }
        line = text_.substr(0, end);
        text_.remove_prefix(end + 1);
        return true;
    }

    bool read_header() {
        if (text_.size() > bundle_bytes_max + bundle_header_bytes_max)
            return fail("it is larger than any bundle");
        std::string_view line;
        if (!next_line(line) || line.size() > bundle_header_bytes_max)
            return fail("it does not begin as a bundle does");
        const auto j = json::parse(line.begin(), line.end(), nullptr, false);
        if (!j.is_object() || j.value("bundle", json()) != std::string(format_name))
            return fail("it does not begin as a bundle of version 1 does");
        for (const auto* name : {"about", "made_at", "head", "key", "signature"})
            if (!j.contains(name) || !j.at(name).is_string())
                return fail("its first line has no " + std::string(name));
        if (!j.contains("head_seq") || !j.at("head_seq").is_number_unsigned() ||
            !j.contains("story") || !j.at("story").is_array() || j.at("story").empty() ||
            j.at("story").size() > story_records_max)
            return fail("its first line does not say what the story is");
        for (const auto& n : j.at("story")) {
            if (!n.is_number_unsigned()) return fail("its story is no list of numbers");
            sequences_.push_back(n.get<std::uint64_t>());
        }
        const auto about = j.at("about").get<std::string>();
        if (!read_about(about)) return fail("it is about nothing that is known");
        report_.made_at = j.at("made_at").get<std::string>();
        report_.head_sequence = j.at("head_seq").get<std::uint64_t>();
        report_.head_hash = j.at("head").get<std::string>();
        // The signed text is these parts line by line: none may have a border of its own.
        if (!parse_time(report_.made_at) || report_.head_hash.size() != 64 ||
            report_.head_hash.find_first_not_of("0123456789abcdef") != std::string::npos)
            return fail("its first line has no time or no head");
        const log_head head{report_.head_sequence, report_.head_hash};
        if (j.size() != 8 || j.dump() != line)
            return fail("its first line is not written as the log writes it");
        if (j.at("key") != key_.id()) return fail("its first line is signed by another key");
        if (!key_.verify(seal_message(about, report_.made_at, head, sequences_),
                         j.at("signature").get<std::string>()))
            return fail("its first line was not signed as it stands here");
        return true;
    }

    bool read_about(const std::string& about) {
        const auto blank = about.find(' ');
        if (blank == std::string::npos) return false;
        const auto what = about.substr(0, blank);
        if (what != "hold" && what != "opt_out") return false;
        report_.subject.what =
            what == "hold" ? story_subject::kind::hold : story_subject::kind::opt_out;
        return read_number(std::string_view(about).substr(blank + 1), report_.subject.id);
    }

    void read_lines() {
        story_filter filter(report_.subject);
        std::string_view text;
        while (report_.fault.empty() && next_line(text)) {
            auto line = parse_line(text);
            if (!line) {
                fail("line " + std::to_string(report_.lines + 2) + " is no line of a log");
                return;
            }
            if (!follows(*line)) return;
            last_sequence_ = line->sequence;
            last_hash_ = hash_line(text);
            signed_ = line->event == checkpoint_event;
            if (signed_ && !good_checkpoint(*line)) return;
            ++report_.lines;
            if (filter.takes(*line)) report_.records.push_back(std::move(*line));
        }
    }

    /// A run goes on line by line; another one may begin only behind a good signature.
    bool follows(const parsed_line& line) {
        const auto number = std::to_string(line.sequence);
        if (report_.lines == 0) return true;
        if (line.sequence <= last_sequence_) return fail("number " + number + " is out of order");
        if (line.sequence == last_sequence_ + 1)
            return line.prev == last_hash_ ||
                   fail("number " + number + " does not follow from the line before it: one of " +
                        "the two was edited");
        return signed_ || fail("lines are missing before number " + number);
    }

    bool good_checkpoint(const parsed_line& line) {
        std::uint64_t head = 0;
        if (line.fields.size() == 4 && line.field("key") == key_.id() &&
            read_number(line.field("head_seq"), head) && head + 1 == line.sequence &&
            line.field("head") == line.prev &&
            key_.verify(checkpoint_message(head, line.prev, line.time), line.field("signature")))
            return true;
        return fail("the checkpoint with number " + std::to_string(line.sequence) +
                    " is not signed by this key");
    }

    void check_end() {
        const bool at_head =
            last_sequence_ == report_.head_sequence && last_hash_ == report_.head_hash;
        if (!signed_ && !at_head) {
            fail("its last lines lead to no signature");
            return;
        }
        bool same = report_.records.size() == sequences_.size();
        for (std::size_t i = 0; same && i < sequences_.size(); ++i)
            same = report_.records[i].sequence == sequences_[i];
        if (!same) fail("its records are not those that its first line vouches for");
    }

    std::string_view text_;
    const public_key& key_;
    bundle_report report_;
    std::vector<std::uint64_t> sequences_;
    std::uint64_t last_sequence_ = 0;
    std::string last_hash_;
    bool signed_ = false;  // the line before is a checkpoint with a good signature
};

}  // namespace

std::string make_bundle(const std::string& directory, const story_subject& s, policy::instant now,
                        const std::string& key_id, const signer& sign,
                        std::chrono::steady_clock::time_point give_up_at) {
    bundler made(s);
    std::uint64_t seen = 0;
    source_line raw;
    for (const auto& segment : list_segments(directory)) {
        line_reader reader(directory, segment.name);
        while (reader.next(raw)) {
            if (++seen % 1024 == 0 && std::chrono::steady_clock::now() >= give_up_at)
                throw std::runtime_error("the log is too long to be read through in time");
            // A last line without its end is one that is being written at this moment.
            if (raw.complete) made.see(raw);
        }
    }
    if (made.sequences.empty()) return {};
    made.finish();
    const auto about = to_string(s);
    const auto made_at = format_time(now);
    json header;
    header["bundle"] = format_name;
    header["about"] = about;
    header["made_at"] = made_at;
    header["story"] = made.sequences;
    header["head_seq"] = made.head.sequence;
    header["head"] = made.head.hash;
    header["key"] = key_id;
    header["signature"] = sign(seal_message(about, made_at, made.head, made.sequences));
    return header.dump() + "\n" + made.lines;
}

bundle_report verify_bundle(std::string_view text, std::string_view public_key_pem) {
    const public_key key(public_key_pem);
    return bundle_reader(text, key).run();
}

}  // namespace sallyport::proxy::audit
