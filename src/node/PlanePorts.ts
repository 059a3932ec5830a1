/**
 * The ports that a program's plane has open, by its own numbers and by those of the mesh thread that
 * asked for them. When that is gone its ports are orphans: the next one that asks for the same gets
 * what is open, with the port number there is, also where any free one was asked for.
 */
import type { SocketEnd } from "../model/Relay.ts"
import type { ListenSpec } from "../request/PlaneMessages.ts"
import type { UnixSpec } from "../request/socket/UnixPath.ts"

interface Port {
  /** As it was asked for. */
  readonly spec: ListenSpec
  /** Undefined: it is still being opened. */
  address: SocketEnd | undefined
  /** By the number of the mesh thread at hand; undefined: an orphan. */
  mesh: number | undefined
  /** It takes nothing new any more. */
  ending: boolean
}

export class PlanePorts {
  readonly #ports = new Map<number, Port>()
  #last = 0

  /** What is open and can be taken over, as it was asked for. */
  get held(): ReadonlyArray<ListenSpec> {
    return Array.from(this.#ports.values()).flatMap(({ ending, spec }) => (ending ? [] : [spec]))
  }

  /** A mesh thread asks for a port. `address` of one that it takes over, unless it is being opened. */
  listen(
    mesh: number,
    spec: ListenSpec
  ): { readonly id: number; readonly isNew: boolean; readonly address: SocketEnd | undefined } {
    const key = keyOf(spec)
    for (const [id, port] of this.#ports) {
      if (port.mesh !== undefined || port.ending || keyOf(port.spec) !== key) continue
      port.mesh = mesh
      return { id, isNew: false, address: port.address }
    }
    const id = ++this.#last
    this.#ports.set(id, { spec, mesh, address: undefined, ending: false })
    return { id, isNew: true, address: undefined }
  }

  opened(id: number, address: SocketEnd): void {
    const port = this.#ports.get(id)
    if (port !== undefined) port.address = address
  }

  /** `gone`: it is closed, and its numbers mean nothing any more. */
  end(id: number, gone: boolean): void {
    const port = this.#ports.get(id)
    if (port !== undefined) port.ending = true
    if (gone) this.#ports.delete(id)
  }

  /** The plane's number of what the mesh thread calls so. */
  ofMesh(mesh: number): number | undefined {
    for (const [id, port] of this.#ports) if (port.mesh === mesh) return id
    return undefined
  }

  /** The reverse; undefined: it is an orphan. */
  ofPlane(id: number): number | undefined {
    return this.#ports.get(id)?.mesh
  }

  /** Who asked for them is gone. */
  orphan(): void {
    for (const port of this.#ports.values()) port.mesh = undefined
  }

  /** Those that nobody has asked for again: they are to be closed. */
  takeOrphans(): ReadonlyArray<number> {
    const orphans = [...this.#ports].flatMap(([id, { mesh }]) => (mesh === undefined ? [id] : []))
    for (const id of orphans) this.#ports.delete(id)
    return orphans
  }
}

export const samePort = (a: ListenSpec, b: ListenSpec): boolean => keyOf(a) === keyOf(b)

const keyOf = (spec: ListenSpec): string => {
  const { host, kind, port } = spec
  switch (spec.kind) {
    case "proxy":
      return `${kind} ${host} ${port} ${callers(spec)} ${unixKey(spec.unix)}`
    case "programs":
      return `${kind} ${host} ${port} ${unixKey(spec.unix)}`
    case "mesh":
      return `${kind} ${host} ${port} ${spec.ipv6Only}`
    case "http":
      return `${kind} ${host} ${port} ${spec.service} ${spec.remoteNames?.join() ?? "local"} ${spec.names?.join() ?? ""} ${callers(spec)}`
    case "tcp":
      return `${kind} ${host} ${port} ${spec.service} ${callers(spec)}`
  }
}

/** Whom clients speak for, and who may be one. */
const callers = ({
  as = "host",
  uid
}: {
  readonly as?: string | undefined
  readonly uid?: number | undefined
}): string => `${as} ${uid ?? "all"}`

const unixKey = (unix: UnixSpec | undefined): string =>
  unix === undefined ? "port" : `${unix.mode} ${unix.uid} ${unix.gid}`
