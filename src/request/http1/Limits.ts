/** How much of one message's metadata is held in memory. Bodies are never held. */
export interface Http1Limits {
  /** Characters of a method. The longest that is registered has 17. Default 64. */
  readonly methodBytes: number
  /**
   * Characters of a request's target. RFC 9112 §3 recommends that lines of 8,000 pass. Default
   * 16 KiB.
   */
  readonly targetBytes: number
  /** Bytes of a head: start line, fields and the empty line. Default 32 KiB. */
  readonly headBytes: number
  /** Field lines of a head, and again of a trailer section. Default 100. */
  readonly fieldCount: number
  /**
   * Bytes of chunk extensions over a whole message. They are skipped, so they cost no memory, but
   * unlimited ones would let a sender keep a connection busy without sending content. Default 4 KiB.
   */
  readonly chunkExtensionBytes: number
  /** Bytes of a trailer section with its empty line. Default 8 KiB. */
  readonly trailerBytes: number
  /**
   * Bytes of the interim responses (1xx) before one response. They are passed on at once, whether or
   * not the client reads, so without a limit a program could fill the memory of every node on the way
   * with them. Default 256 KiB, which is a 102 a second for two hours.
   */
  readonly interimBytes: number
}

/** For sockets: what applications and endpoints send. */
export const defaultHttp1Limits: Http1Limits = {
  methodBytes: 64,
  targetBytes: 16 * 1024,
  headBytes: 32 * 1024,
  fieldCount: 100,
  chunkExtensionBytes: 4 * 1024,
  trailerBytes: 8 * 1024,
  interimBytes: 256 * 1024
}

/**
 * For heads that a peer's node already took within its own limits: wider, because that node adds
 * fields (forwarding, trace context), and a head it could take must not be refused one hop later.
 */
export const peerHttp1Limits: Http1Limits = {
  methodBytes: 64,
  targetBytes: 32 * 1024,
  headBytes: 64 * 1024,
  fieldCount: 160,
  chunkExtensionBytes: 0,
  trailerBytes: 16 * 1024,
  interimBytes: 1024 * 1024
}
