/**
 * The seam under a link: an ordered, reliable, authenticated byte stream between two nodes. A lane
 * of an admitted connection or a libp2p stream in production, a pair of arrays in tests and in the
 * simulator.
 */
export interface ByteChannelEvents {
  onData(bytes: Uint8Array): void
  /** More may be written, after `write` returned false. */
  onDrain(): void
  /** The channel is gone, in both directions; nothing is called after this. */
  onClose(cause: Error | undefined): void
}

export interface ByteChannel {
  /** To be set once, synchronously after the channel was obtained, before it delivers anything. */
  events: ByteChannelEvents | undefined
  /** `write` has its own copy of the bytes when it returns, and the writer may reuse their memory. */
  readonly copies?: boolean
  /** What is spoken on it has room for whom a call speaks for. Absent: calls are the host's. */
  readonly carriesIdentity?: boolean
  /** False: the buffer is full, wait for onDrain. The bytes were taken; see `copies`. */
  write(bytes: Uint8Array): boolean
  /**
   * The same of bytes that lie in several places, one after the other; the channel then `copies`.
   * Absent: they are to be gathered for `write`.
   */
  writeParts?(parts: ReadonlyArray<Uint8Array>): boolean
  /** Stops onData; the channel then stops its peer. */
  pause(): void
  resume(): void
  /** Sends what is buffered, then closes. */
  close(): void
  /** Closes at once. onClose follows. */
  abort(cause: Error): void
}
