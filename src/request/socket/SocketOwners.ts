/**
 * Whose process is at the other end of a connection from this host: Linux tells the user of every TCP
 * socket in `/proc/net/tcp` and `tcp6`. Reading that costs time with every socket of the host, so it
 * is read at most once at a time, off the thread, for all who have asked by then, and not beyond a
 * limit.
 */
import { open } from "node:fs/promises"
import { isIPv4 } from "node:net"
import { endianness } from "node:os"

export interface ConnectionEnds {
  readonly client: { readonly address: string; readonly port: number }
  readonly here: { readonly address: string; readonly port: number }
}

/** The tables, as text of one line per socket. */
export type SocketTables = () => Promise<ReadonlyArray<Buffer>>

interface Asked {
  readonly ends: ConnectionEnds
  readonly found: (uid: number | undefined) => void
  readonly failed: (error: unknown) => void
}

/** Bytes of both tables together, at most: some 100,000 sockets. */
const mostBytes = 16 * 1024 * 1024
const firstBytes = 64 * 1024

/** The file has no length before it is read, and the system gives a page of it at a time. */
const readTable = async (path: string, most: number): Promise<Buffer> => {
  const file = await open(path)
  try {
    let table = Buffer.allocUnsafe(firstBytes)
    for (let length = 0; ; ) {
      if (length === table.length) {
        if (length >= most) throw new Error(`${path} has more than ${most} bytes: too many sockets`)
        const larger = Buffer.allocUnsafe(Math.min(most, 2 * length))
        table.copy(larger)
        table = larger
      }
      const { bytesRead } = await file.read(table, length, table.length - length, null)
      if (bytesRead === 0) return table.subarray(0, length)
      length += bytesRead
    }
  } finally {
    await file.close()
  }
}

export const systemTables: SocketTables = async () => {
  const four = await readTable("/proc/net/tcp", mostBytes)
  // A system without IPv6 has no such table.
  const six = await readTable("/proc/net/tcp6", mostBytes - four.length).catch((error: unknown) => {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return Buffer.alloc(0)
    throw error
  })
  return [four, six]
}

/** Why a listener cannot ask for users; undefined: it can. */
export const whyNoOwners = async (tables = systemTables): Promise<Error | undefined> => {
  try {
    await tables()
    return undefined
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    return new Error(`uid needs Linux, whose /proc/net says whose sockets are: ${why}`, { cause })
  }
}

export class SocketOwners {
  readonly #tables: SocketTables
  #asked: Array<Asked> = []
  #reading = false

  constructor(tables: SocketTables = systemTables) {
    this.#tables = tables
  }

  /** The user of the client's end; undefined: it is no socket of this host, or gone. */
  ownerOf(ends: ConnectionEnds): Promise<number | undefined> {
    return new Promise((found, failed) => {
      this.#asked.push({ ends, found, failed })
      if (!this.#reading) this.#read()
    })
  }

  /** For those who have asked by now: what is read later shows their connections for sure. */
  #read(): void {
    const asked = this.#asked
    this.#asked = []
    this.#reading = true
    this.#tables()
      .then(
        (tables) => {
          for (const { ends, found } of asked) found(ownerIn(tables, ends))
        },
        (error: unknown) => {
          for (const { failed } of asked) failed(error)
        }
      )
      .finally(() => {
        this.#reading = false
        if (this.#asked.length > 0) this.#read()
      })
  }
}

/** By the client's own line: local end, remote end, and the user six columns on. */
export const ownerIn = (
  tables: ReadonlyArray<Buffer>,
  { client, here }: ConnectionEnds
): number | undefined => {
  for (const form of [fourForm, sixForm]) {
    const [from, to] = [form(client.address), form(here.address)]
    if (from === undefined || to === undefined) continue
    const line = ` ${from}:${hexPort(client.port)} ${to}:${hexPort(here.port)} `
    for (const table of tables) {
      const at = table.indexOf(line, 0, "latin1")
      if (at === -1) continue
      const end = table.indexOf(0x0a, at)
      const rest = table.toString("latin1", at + line.length, end === -1 ? table.length : end)
      const columns = rest.trim().split(/ +/)
      const [uid, inode] = [columns[4], columns[6]]
      // Without an inode nobody holds it any more, and the user that is shown is root.
      if (uid !== undefined && /^\d+$/.test(uid) && inode !== "0") return Number(uid)
    }
  }
  return undefined
}

const hexPort = (port: number): string => port.toString(16).toUpperCase().padStart(4, "0")

/** The system prints an address in words of four bytes, each as a number of its own byte order. */
const words = (bytes: ReadonlyArray<number>): string => {
  let text = ""
  for (let at = 0; at < bytes.length; at += 4) {
    const word = bytes.slice(at, at + 4)
    if (endianness() === "LE") word.reverse()
    for (const byte of word) text += byte.toString(16).toUpperCase().padStart(2, "0")
  }
  return text
}

const mappedPrefix = "::ffff:"

/** IPv4, also as a socket for both families shows it. */
const fourBytes = (address: string): ReadonlyArray<number> | undefined => {
  const plain = address.startsWith(mappedPrefix) ? address.slice(mappedPrefix.length) : address
  return isIPv4(plain) ? plain.split(".").map(Number) : undefined
}

const fourForm = (address: string): string | undefined => {
  const bytes = fourBytes(address)
  return bytes === undefined ? undefined : words(bytes)
}

const sixForm = (address: string): string | undefined => {
  const four = fourBytes(address)
  if (four !== undefined) return words([...new Array<number>(10).fill(0), 0xff, 0xff, ...four])
  const [plain = ""] = address.split("%")
  const [head = "", tail] = plain.split("::")
  const groups = (text: string) => (text === "" ? [] : text.split(":"))
  const before = groups(head)
  const after = tail === undefined ? [] : groups(tail)
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length
  const all = [...before, ...new Array<string>(Math.max(0, zeros)).fill("0"), ...after]
  if (all.length !== 8 || !all.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined
  return words(all.map((group) => Number.parseInt(group, 16)).flatMap((it) => [it >> 8, it & 0xff]))
}
