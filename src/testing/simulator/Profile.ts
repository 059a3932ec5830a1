/**
 * What things cost, in one place: processor time in milliseconds of one core, sizes in bytes on the wire.
 *
 * Cryptography was measured by itself (Ed25519: 0.15 ms to verify, 0.06 to sign; a handshake with both
 * certificates: 4 on each side). The rest is fitted to real nodes on two cores: one of 16 at rest takes
 * 1.8 % of a core, and 32 that are killed and started at once are whole after 21 to 34 s. Sizes are what
 * the encodings make, with 82 bytes a message for TCP and IP (52), the sealed record (18) and the muxer's
 * header (12), and an acknowledgement in every answer.
 */
export interface Profile {
  /** Milliseconds of processor time. */
  readonly cost: {
    /** One side's part of a handshake: Noise and both certificate chains. */
    readonly handshake: number
    /** One side's part of what follows: the muxer, streams for gossip and questions, what each is told first. */
    readonly admit: number
    /** To tell somebody to come back, before any cryptography. */
    readonly refuse: number
    /** A frame that comes in: read, opened, decoded, handed to who waits for it. */
    readonly receive: number
    /** A question that is put to another node, and the timer on it. */
    readonly ask: number
    /** A gossip frame that is handed on to one neighbour. */
    readonly forward: number
    /** Of an envelope that was not met before. */
    readonly verify: number
    readonly sign: number
    /** Membership's look at its clock with something due. */
    readonly tick: number
    /** One record of a catalogue that is compared, loaded or merged. */
    readonly record: number
    /** From the start of the process until it listens. */
    readonly boot: number
  }
  /** Share of a core that a node takes without messages: its timers, gossip's heartbeat, health checks. */
  readonly idle: number
  /** Bytes on the wire. */
  readonly size: {
    readonly ping: number
    readonly answer: number
    /** Around a payload of gossip. */
    readonly gossip: number
    /** GRAFT, PRUNE, IWANT, and the first of IHAVE. */
    readonly control: number
    /** Each further message id. */
    readonly id: number
    /** A member that a question names. */
    readonly peer: number
    /** A signed statement of membership, with its author's certificate. */
    readonly statement: number
    /** All messages of a handshake, both ways, with certificates of one step. */
    readonly handshake: number
    /** Digest of 256 buckets. */
    readonly digest: number
    /** One line of an answer of versions. */
    readonly version: number
    /** A node's record with its signature and certificate. */
    readonly record: number
  }
}

export const defaultProfile: Profile = {
  cost: {
    handshake: 4,
    admit: 10,
    refuse: 0.05,
    receive: 0.4,
    ask: 0.7,
    forward: 0.15,
    verify: 0.15,
    sign: 0.06,
    tick: 0.15,
    record: 0.01,
    boot: 700
  },
  idle: 0.01,
  size: {
    ping: 160,
    answer: 170,
    gossip: 120,
    control: 130,
    id: 22,
    peer: 54,
    statement: 620,
    handshake: 3_200,
    digest: 256 * 17 + 120,
    version: 100,
    record: 500
  }
}
