#include "state_key.hpp"

#include <cstdlib>

#include "fixture.hpp"
#include "key_file.hpp"
#include "support/process.hpp"

using namespace test;
using support::TempFolder;

namespace {

std::string refusal(const std::string& source, const std::optional<keyd::StateHead>& head = {}) {
  try {
    keyd::load_state_key(source, head);
    return "";
  } catch (const std::runtime_error& problem) {
    return problem.what();
  }
}

void write_secret(const std::filesystem::path& path, const std::string& text) {
  support::write_text(path, text);
  std::filesystem::permissions(path, std::filesystem::perms(0600));
}

}  // namespace

TEST_SUITE("state key") {
  TEST_CASE("a key in a file, and the same as a credential") {
    const TempFolder folder;
    keyd::write_key_file(folder / "state.key", state_key().key);
    CHECK(keyd::load_state_key((folder / "state.key").string(), {}).key == state_key().key);

    ::unsetenv("CREDENTIALS_DIRECTORY");
    CHECK(refusal("credential:state.key").find("LoadCredential=state.key:FILE") !=
          std::string::npos);
    ::setenv("CREDENTIALS_DIRECTORY", folder.path().c_str(), 1);
    CHECK(keyd::load_state_key("credential:state.key", {}).key == state_key().key);
    CHECK(refusal("credential:../state.key") == "state_key: a credential's name has no '/'");
    ::unsetenv("CREDENTIALS_DIRECTORY");
  }

  TEST_CASE("a passphrase gives the same key again with the salt of the state's head") {
    const TempFolder folder;
    write_secret(folder / "passphrase", "correct horse battery\n");
    write_secret(folder / "other", "correct horse battery!\n");
    const auto source = "passphrase:" + (folder / "passphrase").string();
    const auto first = keyd::load_state_key(source, {});
    const auto file = keyd::seal_state(first, {});
    const auto head = *keyd::parse_state_head(file);

    CHECK(keyd::open_state(keyd::load_state_key(source, head), file).has_value());
    const auto other = "passphrase:" + (folder / "other").string();
    CHECK_FALSE(keyd::open_state(keyd::load_state_key(other, head), file).has_value());
    CHECK_FALSE(keyd::load_state_key(source, {}).salt == first.salt);
  }

  TEST_CASE("promise 11: an all-zero key is refused, and so is one that others can read") {
    const TempFolder folder;
    keyd::write_key_file(folder / "zero.key", {});
    CHECK(refusal((folder / "zero.key").string()) == "state_key: the key is all zero");

    keyd::write_key_file(folder / "state.key", state_key().key);
    std::filesystem::permissions(folder / "state.key", std::filesystem::perms(0644));
    CHECK(refusal((folder / "state.key").string()).find("chmod") != std::string::npos);
  }

  TEST_CASE("a key where a passphrase sealed the state is named as that") {
    const TempFolder folder;
    keyd::write_key_file(folder / "state.key", state_key().key);
    const keyd::StateHead head{keyd::Kdf::argon2id, {}, 1};
    CHECK(refusal((folder / "state.key").string(), head) ==
          "the state was sealed with a passphrase, but state_key names a key");
  }
}
