#include "samples.hpp"

#include <doctest/doctest.h>

#include <limits>

using namespace ticketctl;

TEST_SUITE("samples") {
  TEST_CASE("names, labels and values come as they were written") {
    const auto samples = parse_samples(
        "# HELP a_total Something.\n# TYPE a_total counter\n\n"
        "a_total{pool=\"web\",reason=\"un\\\"k\\\\n\\no}\"} 3\r\n"
        "b 2.5e3 1790000000000\n"
        "c{} -1\nd{x=\"1\",} +Inf");
    REQUIRE(samples.has_value());
    REQUIRE(samples->size() == 4);
    CHECK(samples->at(0).name == "a_total");
    CHECK(samples->at(0).label("pool") == "web");
    CHECK(samples->at(0).label("reason") == "un\"k\\n\no}");
    CHECK(samples->at(0).label("none").empty());
    CHECK(samples->at(0).value == 3);
    CHECK(samples->at(1).value == 2500);
    CHECK(samples->at(2).value == -1);
    CHECK(samples->at(3).value == std::numeric_limits<double>::infinity());
  }

  TEST_CASE("what is no sample is refused by its line") {
    for (const char* line :
         {"<html>", "a", "a ", "a x", "a 1x", "1a 1", "a{ 1", "a{b} 1", "a{b=1} 1", "a{b=\"1} 1",
          "a{b=\"1\\", "a{b=\"1\"c=\"2\"} 1", "a{,} 1", "{b=\"1\"} 1"}) {
      CAPTURE(line);
      const auto samples = parse_samples(std::string("fine 1\n") + line + "\nfine 2\n");
      REQUIRE_FALSE(samples.has_value());
      CHECK(samples.error() == std::string("no sample: ") + line);
    }
  }

  TEST_CASE("nothing is no sample, and no error") {
    CHECK(parse_samples("")->empty());
    CHECK(parse_samples("\n# only words\n")->empty());
  }
}
