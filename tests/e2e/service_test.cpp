#include <csignal>
#include <cstring>
#include <mutex>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/e2e/fixture.h"
#include "tests/support/temp_dir.h"

/// What a service manager hears, and the first configuration that `init` writes.
namespace sallyport::tests {
namespace {

using ::testing::HasSubstr;

/// The receiving end of NOTIFY_SOCKET, as systemd has it.
class notify_socket {
  public:
    notify_socket() : fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        const auto path = dir_.file("notify");
        std::memcpy(address.sun_path, path.c_str(), path.size());
        if (::bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
            ADD_FAILURE() << "cannot bind " << path;
    }
    ~notify_socket() { ::close(fd_); }
    notify_socket(const notify_socket&) = delete;
    notify_socket& operator=(const notify_socket&) = delete;

    [[nodiscard]] std::string path() const { return dir_.file("notify"); }
    /// Waits until a message with this text has come; it and everything before it.
    bool hears(const std::string& text) {
        return eventually([&] {
            char buffer[4096];
            for (;;) {
                const auto n = ::recv(fd_, buffer, sizeof buffer, MSG_DONTWAIT);
                if (n <= 0) break;
                heard_.emplace_back(buffer, static_cast<std::size_t>(n));
            }
            for (; next_ < heard_.size(); ++next_)
                if (heard_[next_].find(text) != std::string::npos) {
                    ++next_;
                    return true;
                }
            return false;
        });
    }
    [[nodiscard]] std::string newest() const { return next_ == 0 ? "" : heard_[next_ - 1]; }

  private:
    temp_dir dir_{"sallyport-notify"};
    int fd_;
    std::vector<std::string> heard_;
    std::size_t next_ = 0;
};

class service : public e2e {
  protected:
    service() { options.env["NOTIFY_SOCKET"] = socket.path(); }
    notify_socket socket;
};

TEST_F(service, is_ready_when_it_listens_and_tells_of_reload_and_stop) {
    proxy = nullptr;
    start();
    EXPECT_TRUE(socket.hears("READY=1"));
    EXPECT_THAT(socket.newest(), HasSubstr("STATUS=PostgreSQL on 127.0.0.1:"));
    proxy->signal(SIGHUP);
    EXPECT_TRUE(socket.hears("RELOADING=1"));
    EXPECT_TRUE(socket.hears("READY=1"));
    write_file(proxy->file("policy.yaml"), "nonsense", 0644);
    proxy->signal(SIGHUP);
    EXPECT_TRUE(socket.hears("RELOADING=1"));
    EXPECT_TRUE(socket.hears("READY=1"));  // the old one goes on
    ASSERT_TRUE(proxy->stop());
    EXPECT_TRUE(socket.hears("STOPPING=1"));
    EXPECT_THAT(socket.newest(), HasSubstr("EXTEND_TIMEOUT_USEC=16000000"));
}

TEST_F(service, watchdog_is_fed_while_its_workers_answer) {
    options.env["WATCHDOG_USEC"] = "200000";
    start();
    EXPECT_TRUE(socket.hears("WATCHDOG=1"));
    EXPECT_TRUE(socket.hears("WATCHDOG=1"));
    EXPECT_TRUE(socket.hears("WATCHDOG=1"));
}

class init : public testing::Test {
  protected:
    using answers = std::map<std::string, std::string>;
    command_result run_init(answers given, const std::string& input = "carol-password\n") const {
        given.merge(answers{{"--target", "shop"},
                            {"--login", "app"},
                            {"--admin-user", "carol"},
                            {"--admin-password-file", "-"}});
        std::vector<std::string> argv{sallyport_binary(), "init", folder};
        for (const auto& [name, value] : given)
            argv.insert(argv.end(), {name, value});
        return run({.argv = argv, .input = input});
    }
    [[nodiscard]] command_result check() const {
        return run({.argv = {sallyport_binary(), "check", folder + "/sallyport.yaml"}});
    }
    temp_dir dir{"sallyport-init"};
    std::string folder = dir.file("new");
};

TEST_F(init, writes_what_check_accepts_and_closes_the_secrets) {
    const auto made = run_init({{"--catalog-login", "sallyport_catalog"}, {"--dbname", "shop_1"}});
    ASSERT_EQ(made.exit_code, 0) << made.err;
    EXPECT_THAT(made.out, HasSubstr("secrets/shop-catalog"));
    const auto checked = check();
    EXPECT_EQ(checked.exit_code, 0) << checked.err;
    EXPECT_THAT(checked.out, HasSubstr("3 of 3 policy test(s) passed"));
    const auto mode = run({.argv = {"stat", "-c", "%a", folder + "/secrets/shop"}}).out;
    EXPECT_TRUE(mode == "600\n" || mode == "640\n") << mode;
    EXPECT_EQ(read_file(folder + "/secrets/shop"), "REPLACE-ME\n");
}

TEST_F(init, overwrites_nothing) {
    ASSERT_EQ(run_init({}).exit_code, 0);
    const auto before = read_file(folder + "/users.yaml");
    const auto again = run_init({});
    EXPECT_EQ(again.exit_code, 2);
    EXPECT_THAT(again.err, HasSubstr("overwrites nothing"));
    EXPECT_EQ(read_file(folder + "/users.yaml"), before);
}

TEST_F(init, answers_that_do_not_work_leave_nothing_behind) {
    const auto made =
        run_init({{"--tls-certificate", "/nonexistent.crt"}, {"--tls-key", "/no.key"}});
    EXPECT_EQ(made.exit_code, 2);
    EXPECT_THAT(made.err, HasSubstr("/nonexistent.crt"));
    EXPECT_THAT(made.err, HasSubstr("nothing was written"));
    EXPECT_NE(run({.argv = {"test", "-e", folder}}).exit_code, 0);
    for (const auto& bad : {"", "../x", "sallyport"})
        EXPECT_EQ(run_init({{"--target", bad}}).exit_code, 2) << bad;
    EXPECT_NE(run_init({}, "\n").exit_code, 0);  // an empty password
    EXPECT_NE(run({.argv = {"test", "-e", folder}}).exit_code, 0);
}

TEST_F(init, hostile_names_stay_names) {
    const auto made = run_init({{"--login", "o'\\brien\" }, roles: {} #"}});
    ASSERT_EQ(made.exit_code, 0) << made.err;
    EXPECT_EQ(check().exit_code, 0);
    EXPECT_THAT(read_file(folder + "/sallyport.yaml"),
                HasSubstr("\"o'\\\\brien\\\" }, roles: {} #\""));
}

TEST_F(init, names_with_control_characters_leave_nothing_behind) {
    EXPECT_EQ(run_init({{"--login", "app\nroles: {}"}}).exit_code, 2);
    EXPECT_NE(run({.argv = {"test", "-e", folder}}).exit_code, 0);
}

/// Completion, in the shells themselves.
class completion : public testing::Test {
  protected:
    static std::string script(const std::string& shell) {
        const auto made = run({.argv = {sallyport_binary(), "completion", shell}});
        EXPECT_EQ(made.exit_code, 0);
        return made.out;
    }
    std::string in_bash(const std::string& line) {
        write_file(dir.file("bash"), script("bash"), 0644);
        const auto said =
            run({.argv = {"bash", "-c",
                          ". \"$1\"; IFS=' ' read -ra COMP_WORDS <<<\"$2\"; [[ $2 != *' ' ]] || "
                          "COMP_WORDS+=(''); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _sallyport; "
                          "echo \"${COMPREPLY[*]}\"",
                          "bash", dir.file("bash"), line}});
        EXPECT_EQ(said.err, "");
        return said.out;
    }
    std::string in_fish(const std::string& line) {
        write_file(dir.file("fish"), script("fish"), 0644);
        const auto said =
            run({.argv = {"fish", "--no-config", "-c", "source $argv[1]; complete -C $argv[2]",
                          dir.file("fish"), line},
                 .env = {{"HOME", dir.path()}}});
        EXPECT_EQ(said.err, "");
        return said.out;
    }
    temp_dir dir{"sallyport-completion"};
};

TEST_F(completion, bash_knows_commands_options_and_values) {
    EXPECT_THAT(in_bash("sallyport "), HasSubstr("opt-out"));
    EXPECT_EQ(in_bash("sallyport opt-out br"), "break-glass\n");
    EXPECT_EQ(in_bash("sallyport approve --pass sh"), "shape\n");
    EXPECT_THAT(in_bash("sallyport opt-out request --"), HasSubstr("--ticket"));
    EXPECT_EQ(in_bash("sallyport flag pri"), "principal\n");
}

TEST_F(completion, fish_knows_commands_options_and_values) {
    EXPECT_THAT(in_fish("sallyport opt-out br"), HasSubstr("break-glass\tOpt out at once"));
    EXPECT_THAT(in_fish("sallyport approve --pass sh"), HasSubstr("shape"));
    EXPECT_THAT(in_fish("sallyport opt-out request --tick"), HasSubstr("--ticket"));
}

TEST_F(completion, zsh_answers_at_the_prompt) {
    write_file(dir.file("_sallyport"), script("zsh"), 0644);
    write_file(dir.file("sallyport"), "#!/bin/sh\n", 0755);
    child_process zsh(command{
        .argv = {"zsh", "-f", "-i"},
        .env = {{"HOME", dir.path()}, {"TERM", "dumb"}, {"PATH", dir.path() + ":/usr/bin:/bin"}},
        .terminal = true});
    zsh.send("unsetopt zle_bracketed_paste; fpath=(" + dir.path() +
             " $fpath); autoload -Uz compinit; compinit -u -D; echo prep''ared\n");
    ASSERT_NE(zsh.wait_for("prepared"), std::string::npos) << zsh.output();
    auto from = zsh.output().size();
    zsh.send("sallyport opt-out break\t");
    EXPECT_NE(zsh.wait_for("break-glass", from), std::string::npos) << zsh.output();
    zsh.send("\x03");
}

TEST_F(completion, man_pages_are_made_of_the_commands_and_keys_and_are_well_formed) {
    const auto made = run({.argv = {"bash", SALLYPORT_SOURCE_DIR "/config/man/make.sh",
                                    sallyport_binary(), dir.path()}});
    ASSERT_EQ(made.exit_code, 0) << made.err;
    for (const auto* page : {"sallyport.1", "sallyport.yaml.5", "policy.yaml.5"}) {
        const auto shown =
            run({.argv = {"groff", "-man", "-ww", "-Tutf8", "-P-cbou", dir.file(page)}});
        EXPECT_EQ(shown.exit_code, 0);
        EXPECT_EQ(shown.err, "") << page;
        EXPECT_EQ(shown.out.find("@LIST@"), std::string::npos);
    }
    const auto page = read_file(dir.file("sallyport.1"));
    EXPECT_THAT(page, HasSubstr("sallyport opt\\-out break\\-glass"));
    EXPECT_THAT(page, HasSubstr("\\-\\-ticket"));
    EXPECT_THAT(read_file(dir.file("sallyport.yaml.5")),
                HasSubstr("targets.NAME.catalog.max_staleness"));
    EXPECT_THAT(read_file(dir.file("policy.yaml.5")), HasSubstr("rules.opt_out.max_duration"));
}

}  // namespace
}  // namespace sallyport::tests
