/**
 * A network of their own for programs on one host: only then is what passes on loopback theirs alone,
 * and can be counted, UDP and TCP, headers and all.
 */
import { describeEnd } from "../../test/fixtures/ChildEnd.ts"
import { run } from "../../test/fixtures/Processes.ts"

/** What stands before a program and its arguments; it becomes the program, so that the process stays. */
export type Prefix = ReadonlyArray<string>

export type Network =
  | { readonly own: true; readonly prefix: Prefix }
  | { readonly own: false; readonly prefix: Prefix; readonly why: string }

/** Loopback is down in a new one. */
const withLoopback: Prefix = ["sh", "-c", 'ip link set lo up && exec "$0" "$@"']

/** As root, and as anybody where the system lets people be root within a namespace. */
const ways: ReadonlyArray<Prefix> = [
  ["unshare", "--net", ...withLoopback],
  ["unshare", "--map-root-user", "--net", ...withLoopback]
]

/** The first way that works here; without one, programs share the host's loopback with everybody. */
export const findNetwork = async (): Promise<Network> => {
  let why = ""
  for (const prefix of ways) {
    const [command = "unshare", ...args] = prefix
    try {
      const { end } = await run(command, [...args, "true"], { what: prefix.slice(0, -3).join(" ") })
      if (end.code === 0) return { own: true, prefix }
      why = describeEnd(end).replaceAll(/\n\s*/g, " ")
    } catch (cause) {
      why = cause instanceof Error ? cause.message : String(cause)
    }
  }
  return { own: false, prefix: [], why }
}

/**
 * Bytes that loopback has sent so far, from /proc/net/dev; undefined when it is not there. What is sent
 * on loopback is received on it, and counted there once more.
 */
export const parseLoopback = (text: string): number | undefined => {
  const fields = /^\s*lo:\s*(.*)$/m.exec(text)?.[1]?.trim().split(/\s+/)
  const sent = Number(fields?.[8])
  return Number.isFinite(sent) ? sent : undefined
}
