/**
 * What things cost, in one place: processor time in milliseconds of one core, sizes in bytes on the
 * wire. Times are those of a profile of real nodes on two cores of 2.5 GHz (bench, question `idle`, and
 * a mesh of 32 that starts at once); sizes are what the encodings make, with 82 bytes a message for TCP
 * and IP (52), the sealed record (18) and the muxer's header (12), and an acknowledgement in every answer.
 */
export interface Profile {
  /** Milliseconds of processor time. */
  readonly cost: {
    /** One side's part of a handshake: Noise, both certificate chains, the muxer, what follows an admission. */
    readonly handshake: number
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
    refuse: 0.05,
    receive: 0.1,
    ask: 0.15,
    forward: 0.05,
    verify: 0.15,
    sign: 0.06,
    tick: 0.03,
    record: 0.01,
    boot: 700
  },
  idle: 0.003,
  size: {
    ping: 160,
    answer: 170,
    gossip: 120,
    control: 130,
    id: 22,
    statement: 620,
    handshake: 3_200,
    digest: 256 * 17 + 120,
    version: 100,
    record: 500
  }
}
