/**
 * Three hosts on one machine, on each of which programs find services by names. Where the system lets us
 * (Linux, without root), all of it runs in a network namespace with nothing but loopback, and the programs
 * of each host have a resolv.conf of their own that names their node, as `skein dns install` would have it.
 * Elsewhere gRPC itself is told whom to ask, by `dns://HOST:PORT/` before the name.
 */
import { spawnSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect } from "effect"
import { freePorts } from "../../stage/Ports.ts"
import type { StepFailed } from "../../stage/StepFailed.ts"

export interface Names {
  /** At which services are called under their names. */
  readonly port: number
  /** Of the config of a host's node: hosts are told apart by their number. */
  readonly dns: (host: number) => object
  /** What runs a program on a host, before what runs it anyway. */
  readonly enter: (host: number) => ReadonlyArray<string>
  readonly env: (host: number) => Readonly<Record<string, string>>
}

/** One block for each host, since all of them share one loopback here. */
const block = (host: number): string => `127.${81 + host}.0.0/16`

export const unshare = ["unshare", "--user", "--map-root-user", "--net", "--mount"] as const

/** Whether the system lets us have namespaces, in which resolv.conf is ours. */
export const canUnshare = (): boolean => {
  const [command, ...words] = unshare
  const probe = "ip link set lo up && mount --bind /etc/hosts /etc/resolv.conf"
  return spawnSync(command, [...words, "sh", "-c", probe]).status === 0
}

/** Replaces itself with the program: $0 and $1 are its resolv.conf and nsswitch.conf. */
const entering = `mount --bind "$0" /etc/resolv.conf &&
  { [ ! -e /etc/nsswitch.conf ] || mount --bind "$1" /etc/nsswitch.conf; } &&
  shift && exec "$@"`

/** Inside of namespaces: the names alone. */
export const namesByResolver = (directory: string): Effect.Effect<Names> =>
  Effect.sync(() => {
    spawnSync("ip", ["link", "set", "lo", "up"])
    const server = (host: number): string => `127.0.1.${host + 1}`
    const nsswitch = join(directory, "nsswitch.conf")
    writeFileSync(nsswitch, "hosts: files dns\n")
    return {
      port: 50_051,
      dns: (host) => ({ listen: `${server(host)}:53`, addresses: block(host) }),
      enter: (host) => {
        const file = join(directory, `resolv-${host}.conf`)
        writeFileSync(file, `nameserver ${server(host)}\n`)
        return ["unshare", "--mount", "sh", "-c", entering, file, nsswitch]
      },
      env: () => ({})
    }
  })

/** Anywhere: the names, and whom to ask. */
export const namesByTarget = (hosts: number): Effect.Effect<Names, StepFailed> =>
  Effect.map(freePorts(hosts + 1), ([port = 0, ...resolvers]) => ({
    port,
    dns: (host) => ({ listen: `127.0.0.1:${resolvers[host]}`, addresses: block(host) }),
    enter: () => [],
    env: (host) => ({
      SHOP_RESOLVER: `127.0.0.1:${resolvers[host]}`,
      SHOP_PORT: String(port),
      // Without it @grpc/grpc-js asks the system, whatever stands before the name.
      GRPC_NODE_USE_ALTERNATIVE_RESOLVER: "true"
    })
  }))
