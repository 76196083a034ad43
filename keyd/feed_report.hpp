// What the feeds of servers without our plugin look like: metrics and page.
#pragma once

#include "exposition.hpp"
#include "feed_sight.hpp"
#include "status_page.hpp"

namespace keyd {

void write_feeds(Exposition& out, const FeedSight& sight);
void add_feeds(StatusPage& page, const FeedSight& sight);

}  // namespace keyd
