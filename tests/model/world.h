#pragma once

#include <functional>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "policy/decide.h"
#include "tests/model/auditor.h"
#include "tests/model/machine.h"
#include "tests/model/oracle.h"

/// One run: the real steward on a machine, the oracle beside it, and what is done to both.
namespace sallyport::model {

/// text::shape of what the product calls by a hash; 0: none.
[[nodiscard]] int shape_class(const std::string& shape);

class world {
  public:
    explicit world(std::uint64_t seed);

    /// Something at random, and a look whether both agree on it.
    void step();
    /// A look at everything.
    void compare();
    /// The log as a whole; the machine is shut and boots again.
    void audit(bool crash);
    /// 1,000 attempts to use one opt-out, on threads.
    void stampede();
    /// Many threads do what they like to the same few things.
    void melee();

    std::uint64_t passed = 0;  ///< statements that were let through
    std::uint64_t crashes = 0;

  private:
    friend class surface;
    std::uint64_t pick(std::uint64_t below) { return random_() % below; }
    bool chance(std::uint64_t one_in) { return pick(one_in) == 0; }
    milliseconds up_to(milliseconds most) {
        return milliseconds(
            1 + static_cast<std::int64_t>(pick(static_cast<std::uint64_t>(most.count()))));
    }
    const person& somebody() { return people()[pick(people().size())]; }
    template <class Map>
    typename Map::iterator any(Map& m) {
        return std::next(m.begin(), static_cast<std::ptrdiff_t>(pick(m.size())));
    }
    /// Rather one that is not over.
    std::map<std::uint64_t, hold_m>::iterator some_hold();
    std::map<std::uint64_t, opt_out_m>::iterator some_opt_out();
    [[nodiscard]] instant now() const { return m_.now(); }
    void tick() { o_.pass_time(now()); }

    // The operations.
    void run_statement();
    void wait_for_approval(const seat& s, int text, const policy::decision& d);
    void ask_ahead(const seat& s, int text, const policy::decision& d);
    hold_m& begun(std::uint64_t id, const seat& s, int text, const policy::decision& d,
                  milliseconds wait);
    void use(const seat& s, const policy::decision& d);
    void vote_on_hold();
    void approved(std::uint64_t id, const answer& a);
    void withdraw_vote();
    void leave();
    void end_transaction();
    void end_session();
    void escalate();
    void reassign();
    void request_opt_out();
    void vote_on_opt_out();
    void revoke();
    void review();
    void flag();
    void lift();
    void reload();
    void pass_time();
    void crash();

    [[nodiscard]] policy::subject subject_of(const seat& s) const;
    [[nodiscard]] policy::hold wish(const seat& s, int text, const policy::decision& d) const;
    [[nodiscard]] terms changed(terms t);
    void load(const terms& t);
    /// What is new after a reload or a start, from the file.
    void check_begun();
    /// Takes over what is there, if it can have come of what was there; all of it, or only what
    /// was not to be foreseen.
    void adopt(bool anything);
    void adopt_holds(bool anything);
    void adopt_opt_outs(bool anything);
    void check_lifetimes();
    void boot();

    std::mt19937_64 random_;
    machine m_;
    oracle o_;
    policy::rule_set_ptr rules_;
    std::vector<seat> seats_;
    std::uint64_t next_seat_ = 1;
    int next_written_ = 1;
    std::vector<told_bypass> told_;
    std::set<std::uint64_t> released_;
    std::set<std::uint64_t> holds_in_doubt_, opt_outs_in_doubt_;
    milliseconds lost_{};  ///< by restarts with a clock that was set back
    std::string pem_;
};

}  // namespace sallyport::model
