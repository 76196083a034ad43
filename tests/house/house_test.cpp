// Rules about the source tree and the built library themselves.
#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>

#include "house/include_direction.hpp"
#include "support/process.hpp"

namespace {

namespace fs = std::filesystem;

std::string lines(const std::vector<std::string>& texts) {
  std::string all;
  for (const auto& text : texts) all += text + "\n";
  return all;
}

// A small house in which every include is right.
void build_small_house(const fs::path& root) {
  const struct {
    const char* path;
    const char* text;
  } files[] = {
      {"libticket/base/bytes.hpp", "#include <vector>\n"},
      {"libticket/crypto/digest.hpp", "#include \"base/bytes.hpp\"\n"},
      {"libticket/ring/ring.hpp", "#include \"crypto/digest.hpp\"\n"},
      {"libticket/feed/bundle.hpp", "#include \"ring/ring.hpp\"\n"},
      {"libticket/token/token.hpp", "#include \"ring/ring.hpp\"\n"},
      {"libticket/capi/core.h", "#include <ticket/ticket.h>\n"},
      {"libticket/capi/ring.cpp", "#include \"capi/core.h\"\n#include \"feed/bundle.hpp\"\n"},
      {"libticket/include/ticket/ticket.h", "#include <stddef.h>\n"},
      {"libticket/stacks/openssl.c", "#include \"capi/core.h\"\n"},
      {"keyd/keeper.hpp", "#include \"feed/bundle.hpp\"\n"},
      {"ticketctl/show.cpp", "#include \"ring/ring.hpp\"\n"},
      {"examples/server.cpp", "#include <ticket/ticket.h>\n"},
  };
  for (const auto& file : files) {
    fs::create_directories((root / file.path).parent_path());
    support::write_text(root / file.path, file.text);
  }
}

std::vector<std::string> words(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), {}};
}

// Every built file of that name.
std::vector<fs::path> built(const std::string& name) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::recursive_directory_iterator(support::build_root() / "libticket"))
    if (entry.path().filename() == name) found.push_back(entry.path());
  return found;
}

// Folders that need a README: those of the top, and the rooms.
std::vector<fs::path> folders() {
  std::vector<fs::path> found;
  for (const auto& parent : {support::source_root(), support::source_root() / "libticket"})
    for (const auto& entry : fs::directory_iterator(parent)) {
      const auto name = entry.path().filename().string();
      if (entry.is_directory() && !fs::is_empty(entry) && name[0] != '.' &&
          !name.starts_with("build"))
        found.push_back(entry.path());
    }
  return found;
}

}  // namespace

TEST_SUITE("house") {
  TEST_CASE("no include of ours points up or sideways") {
    CHECK(house::sources(support::source_root()).size() > 50);

    const auto wrong = house::wrong_includes(support::source_root());

    CHECK_MESSAGE(wrong.empty(), lines(wrong));
  }

  TEST_CASE("a planted include is found") {
    // clang-format off
    const struct { std::string file, include, why; } plants[] = {
        {"libticket/base/bytes.hpp",          "\"crypto/digest.hpp\"",  ": up"},
        {"libticket/ring/ring.hpp",           "\"capi/core.h\"",        ": up"},
        {"libticket/feed/bundle.hpp",         "\"token/token.hpp\"",    ": sideways"},
        {"libticket/feed/bundle.hpp",         "\"../token/token.hpp\"", ": sideways"},
        {"libticket/feed/bundle.hpp",         "<ticket/ticket.h>",      "doors"},
        {"libticket/stacks/openssl.c",        "\"ring/ring.hpp\"",      "core.h alone"},
        {"libticket/include/ticket/ticket.h", "\"base/bytes.hpp\"",     "stand alone"},
        {"examples/server.cpp",               "\"capi/core.h\"",        "only <ticket/*.h>"},
        {"examples/server.cpp",               "<ring/ring.hpp>",        "only <ticket/*.h>"},
        {"ticketctl/show.cpp",                "\"keyd/keeper.hpp\"",    "rooms directly"},
        {"keyd/keeper.hpp",                   "\"../ticketctl/show.cpp\"", "rooms directly"},
        {"keyd/keeper.hpp",                   "\"nowhere.hpp\"",        "no such file"},
    };
    // clang-format on
    for (const auto& plant : plants) {
      CAPTURE(plant.file);
      CAPTURE(plant.include);
      const support::TempFolder root;
      build_small_house(root.path());
      REQUIRE(lines(house::wrong_includes(root.path())) == "");
      std::ofstream(root / plant.file, std::ios::app) << "#include " << plant.include << "\n";

      const auto wrong = house::wrong_includes(root.path());

      REQUIRE(wrong.size() == 1);
      CHECK(wrong[0].find(plant.why) != std::string::npos);
    }
  }

  TEST_CASE("libraries export nothing but tkt_ symbols") {
    for (const std::string name : {"libticket.so", "libticket-openssl.so"}) {
      CAPTURE(name);
      const auto found = built(name);
      REQUIRE(found.size() == 1);

      const auto symbols = support::run({"nm", "-D", "--defined-only", found[0].string()});

      REQUIRE(symbols.code == 0);
      int ours = 0;
      std::istringstream text(symbols.output);
      for (std::string line; std::getline(text, line);) {
        CAPTURE(line);
        const auto fields = words(line);
        if (fields.size() == 3 && fields[1] == "A") continue;  // the name of a version
        CHECK(fields.back().starts_with("tkt_"));
        ++ours;
      }
      CHECK(ours > 0);
    }
  }

  TEST_CASE("libticket itself needs no TLS stack") {
    const auto found = built("libticket.so");
    REQUIRE(found.size() == 1);

    const auto needs = support::run({"readelf", "-d", found[0].string()});

    REQUIRE(needs.output.find("libcrypto.so") != std::string::npos);
    CHECK(needs.output.find("libssl.so") == std::string::npos);
  }

  TEST_CASE("each folder says in a few lines what lives there") {
    for (const auto& folder : folders()) {
      CAPTURE(folder.string());
      REQUIRE(fs::exists(folder / "README.md"));
      const auto text = support::read_text(folder / "README.md");
      const auto count = std::ranges::count(text, '\n');
      CHECK(count >= 3);
      CHECK(count <= 15);
    }
  }

  TEST_CASE("no file names a path of the machine it was written on") {
    // in two parts, or this file would be found
    const std::string paths[] = {
        "/wo"
        "rk/",
        "/ho"
        "me/",
        "/ro"
        "ot/"};
    for (const auto& file : house::sources(support::source_root())) {
      CAPTURE(file.string());
      const auto text = support::read_text(file);
      for (const auto& path : paths) CHECK(text.find(path) == std::string::npos);
    }
  }
}
