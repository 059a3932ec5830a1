/** Where Effect programs of this host attach to their node, and for whom they speak. */
import { resolve } from "node:path"
import { Schema } from "effect"
import { programPath } from "../model/AttachedProgram.ts"
import { isLoopback } from "../model/Loopback.ts"
import type { Problem } from "../model/Problem.ts"
import { maxUnixPath } from "../model/UnixHost.ts"
import { quote } from "../schema/ExplainIssue.ts"
import { ServiceName } from "../schema/NamesSchema.ts"
import { ProgramsListen } from "./GuardedListen.ts"
import { formatHostPort } from "./HostPort.ts"
import { Mode, Owner } from "./OutboundConfig.ts"

/** The longest name of a thread's socket that stands behind the path. */
const threadSuffix = programPath("", 255).length

const tooLong = (path: string): string | undefined =>
  Buffer.byteLength(path) + threadSuffix <= maxUnixPath
    ? undefined
    : `${quote(path)} leaves no room for what stands behind it for each request thread; ${maxUnixPath - threadSuffix} bytes are its most`

const One = Schema.Struct({
  /**
   * A unix socket, whose path counts from the config file where it is relative, or a port of this host, whose
   * programs show the token of `programs.token` in the data directory.
   */
  listen: ProgramsListen,
  /**
   * The service that its programs are when they call. The node's certificate has to grant it. Absent: they
   * speak for the host.
   */
  as: Schema.optional(ServiceName),
  /** Of a unix socket: who may connect. Default: only the user of the node, "0600". */
  mode: Schema.optional(Mode),
  /** Of a unix socket: whose it becomes, which only root can say of others than itself. */
  owner: Schema.optional(Owner)
}).pipe(
  Schema.filter(
    ({ listen, mode, owner }) => {
      if ("path" in listen) {
        const message = tooLong(listen.path)
        return message === undefined ? [] : [{ path: ["listen"], message }]
      }
      const issues = Object.entries({ mode, owner }).flatMap(([key, value]) =>
        value === undefined ? [] : [{ path: [key], message: "is for unix sockets" }]
      )
      if (isLoopback(listen.host)) return issues
      const message = `${formatHostPort(listen)} can be reached from other hosts, and programs attach to the node of their own; use 127.0.0.1, or a unix socket`
      return [...issues, { path: ["listen"], message }]
    },
    { identifier: "ProgramsConfig", jsonSchema: {} }
  )
)
export type ProgramsConfig = typeof One.Type

/** Sockets of a node for programs, each with an identity of its own. */
const maxSockets = 16

/** One, or several for several identities. */
export const ProgramsConfigs = Schema.transform(
  Schema.Union(One, Schema.Array(One).pipe(Schema.maxItems(maxSockets))),
  Schema.typeSchema(Schema.Array(One)),
  {
    strict: true,
    decode: (written) => ("listen" in written ? [written] : written),
    encode: (all) => {
      const [first] = all
      return all.length === 1 && first !== undefined ? first : all
    }
  }
)

/** With paths from the root on, where relative ones count from `base`; and those that are too long for it then. */
export const programsFrom = (
  programs: ReadonlyArray<ProgramsConfig>,
  base: string
): {
  readonly programs: ReadonlyArray<ProgramsConfig>
  readonly problems: ReadonlyArray<Problem>
} => {
  const problems: Array<Problem> = []
  const placed = programs.map((one, index) => {
    if (!("path" in one.listen)) return one
    const path = resolve(base, one.listen.path)
    const message = tooLong(path)
    if (message !== undefined) {
      const where = programs.length === 1 ? [] : [index]
      problems.push({ path: ["programs", ...where, "listen"], about: "value", message })
    }
    return { ...one, listen: { path } }
  })
  return { programs: placed, problems }
}
