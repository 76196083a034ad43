#include "folder_draft.hpp"

#include <doctest/doctest.h>

#include <system_error>

#include "support/process.hpp"

namespace fs = std::filesystem;
using ticketctl::FolderDraft;

TEST_SUITE("folder draft") {
  TEST_CASE("what came in between is not overwritten, and all else is taken back") {
    FolderDraft draft;
    draft.folder("state");
    draft.file("first", "ours");
    draft.file("second", "ours");
    struct {
      const char* kind;
      bool link;
    } const intruders[] = {{"a file", false}, {"a link to a file", true}};

    for (const auto& intruder : intruders) {
      CAPTURE(std::string(intruder.kind));
      const support::TempFolder temp;
      support::write_text(temp / "theirs", "theirs");
      const auto root = temp / "pool";
      fs::create_directory(root);
      if (intruder.link) {
        fs::create_symlink(temp / "theirs", root / "second");
      } else {
        support::write_text(root / "second", "theirs");
      }

      CHECK_THROWS_AS(draft.write(root), std::system_error);

      CHECK(support::read_text(root / "second") == "theirs");
      CHECK(support::read_text(temp / "theirs") == "theirs");
      CHECK_FALSE(fs::exists(root / "first"));
      CHECK_FALSE(fs::exists(root / "state"));
    }
  }

  TEST_CASE("parents are made; a trailing slash means the same folder") {
    const support::TempFolder temp;
    FolderDraft draft;
    draft.file("file", "text");

    draft.write(temp / "a/b/");

    CHECK(support::read_text(temp / "a/b/file") == "text");
  }
}
