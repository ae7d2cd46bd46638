"""From the journals into the store: the recorder, and the pure fold that it applies."""
