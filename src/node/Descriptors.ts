/**
 * How many descriptors this process may have, and what a node makes of them. Sockets of programs get
 * what is left of the limit after what the process has open anyway, and after a reserve: for links
 * and those who knock, the admin API, health checks, and the files that are written now and then.
 * Without it a node under load could not even say that it is under load.
 */
import { readdirSync, readFileSync } from "node:fs"

/** What the system says; undefined where it does not tell. */
export interface Descriptors {
  /** The most this process may have open. Node and Deno raise it to the hard limit as they start. */
  readonly limit: number | undefined
  /** Open now. */
  readonly open: number | undefined
}

/** For a process that has only just begun: standard streams, event loop, its own sockets. */
const usuallyOpen = 32

/** On Linux; elsewhere by Node's report of itself, which takes a while and Deno has not. */
export const readLimit = (): number | undefined => {
  try {
    const line = /^Max open files +(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8"))
    const limit = Number(line?.[1])
    return Number.isSafeInteger(limit) ? limit : undefined // or "unlimited"
  } catch {
    return process.platform === "win32" ? undefined : softLimit(process.report?.getReport())
  }
}

const field = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined

const softLimit = (report: unknown): number | undefined => {
  const soft = field(field(field(report, "userLimits"), "open_files"), "soft")
  return typeof soft === "number" ? soft : undefined
}

/** Without the one that is open to look. */
export const countOpen = (): number | undefined => {
  for (const directory of ["/proc/self/fd", "/dev/fd"]) {
    try {
      return readdirSync(directory).length - 1
    } catch {
      // The next one, or nobody tells: none is left to look with, or there is no such directory.
    }
  }
  return undefined
}

export const readDescriptors = (): Descriptors => ({ limit: readLimit(), open: countOpen() })

/** What a request thread needs for itself: its event loop and the like, and the ports it has open. */
const perThread = 8

/** As they will be when so many request threads have begun. */
export const withThreads = ({ limit, open }: Descriptors, threads: number): Descriptors => ({
  limit,
  open: (open ?? usuallyOpen) + threads * perThread
})

export interface DescriptorShares {
  /** For connections of clients and to programs. */
  readonly sockets: number
  /** Of the reserve: connections at a time that are told that there is no room. */
  readonly spare: number
  /** Of the reserve: connections with other nodes. Where there are more, `sockets` are fewer. */
  readonly mesh: number
  /** Of the reserve: nodes at a time that connect and have not shown yet who they are. */
  readonly pending: number
  /** Of the reserve: connections to the admin API. */
  readonly admin: number
}

/** Of what is not in use, one part in so many is the reserve, but at least and at most so many. */
const reservePart = 4
const leastReserve = 16
const mostReserve = 4_608

/** The limits there are anyway; see MeshHost.ts and AdminServer.ts. */
const most = { spare: 64, mesh: 4_096, pending: 512, admin: 64 } as const

/** Undefined: nothing is limited, for want of a limit. */
export const shareDescriptors = ({ limit, open }: Descriptors): DescriptorShares | undefined => {
  if (limit === undefined) return undefined
  const free = Math.max(0, limit - (open ?? usuallyOpen))
  const part = Math.floor(free / reservePart)
  const reserve = Math.min(mostReserve, Math.max(leastReserve, part))
  return {
    // One each way, or there is no node at all.
    sockets: Math.max(2, free - reserve),
    spare: Math.min(most.spare, Math.floor(reserve / 8)),
    mesh: Math.min(most.mesh, Math.floor(reserve / 4)),
    pending: Math.min(most.pending, Math.floor(reserve / 8)),
    admin: Math.min(most.admin, Math.floor(reserve / 4))
  }
}

/** Fewer than the connections that one endpoint may have: what a busy host soon needs. */
const fewSockets = 1_024

/** What to tell an operator when the limit is low. */
export const lowLimit = ({ limit }: Descriptors, sockets: number): string | undefined =>
  limit === undefined || sockets >= fewSockets
    ? undefined
    : `the limit of open files is ${limit}, which leaves ${sockets} for connections of clients and to programs together; beyond them calls wait or get overflow. Raise it: LimitNOFILE=65536 in the systemd unit, --ulimit nofile=65536 for a container, ulimit -n 65536 (and its hard limit) in a shell`
