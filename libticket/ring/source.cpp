#include "ring/source.hpp"

namespace ticket::ring {

void FileSource::follow(Moment) {
  if (reader_ && reader_->state() == RingFileState::ok && !reader_->replaced()) return;
  RingReader fresh(path_);
  // a file that became unusable takes nothing away: its keys have their times
  if (!reader_ || fresh.state() == RingFileState::ok || reader_->state() != RingFileState::ok) {
    reader_ = std::move(fresh);
  }
}

}  // namespace ticket::ring
