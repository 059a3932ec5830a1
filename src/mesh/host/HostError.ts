/** Why this node's end of the mesh network could not be opened, or another's not be reached. */
import { Data, ParseResult } from "effect"
import { reasonOf as reasonBy } from "../../model/Reason.ts"
import { explainInLine } from "../../schema/ExplainIssue.ts"

export type HostErrorCode =
  /** Another program (or a node still running) listens on the address. */
  | "port_in_use"
  /** The address is not one of this machine. */
  | "address_not_local"
  /** Ports below 1024 need a privilege. */
  | "not_permitted"
  /** Not a multiaddr, or not one that can be listened on. */
  | "bad_multiaddr"
  /** DUMP_SESSION_KEYS would write the keys of every connection to a file. */
  | "session_keys_dumped"
  | "listen_failed"

export class HostError extends Data.TaggedError("HostError")<{
  readonly code: HostErrorCode
  /** The address (or variable) it is about. */
  readonly value: string
  /** What failed, the likely cause and the mend, for people. */
  readonly message: string
  readonly cause?: unknown
}> {}

/** No address led to a node that could be spoken with. */
export class DialError extends Data.TaggedError("DialError")<{
  readonly code: "no_address" | "unreachable"
  readonly message: string
  /** Per address tried: what became of it. */
  readonly attempts: ReadonlyArray<{ readonly address: string; readonly reason: string }>
}> {}

const mends: Partial<Record<string, { code: HostErrorCode; mend: string }>> = {
  EADDRINUSE: {
    code: "port_in_use",
    mend: "another program already listens there, maybe a node that still runs; stop it or choose another port"
  },
  EADDRNOTAVAIL: {
    code: "address_not_local",
    mend: "this machine has no such address; use one that `ip addr` shows, or /ip4/0.0.0.0/tcp/PORT for all"
  },
  EACCES: {
    code: "not_permitted",
    mend: "ports below 1024 need a privilege; choose a higher one"
  }
}

/**
 * libp2p reports listen failures as one text with a line per address; the system's error code in
 * it is the only stable part.
 */
export const listenError = (listen: ReadonlyArray<string>, cause: unknown): HostError => {
  const text = cause instanceof Error ? cause.message : String(cause)
  const value =
    listen.find((address) => text.includes(`${address}:`)) ?? listen[0] ?? "(no address)"
  const system = /\bE[A-Z]{4,}\b/.exec(text.slice(Math.max(0, text.indexOf(`${value}:`))))?.[0]
  const known = system === undefined ? undefined : mends[system]
  const why = known?.mend ?? text
  return new HostError({
    code: known?.code ?? "listen_failed",
    value,
    message: `cannot listen on ${value}: ${why}`,
    cause
  })
}

/** An error and its causes in one line; what does not decode is told in words. */
export const reasonOf = (error: unknown): string => reasonBy(error, tell)

const tell = (error: Error): string =>
  ParseResult.isParseError(error) ? explainInLine(error.issue) : error.message
