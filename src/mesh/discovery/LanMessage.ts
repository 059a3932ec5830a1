/**
 * What nodes say to each other on a LAN before they know where the others are: DNS-SD over multicast DNS
 * (RFC 6762, 6763). It is in the clear and from anybody, so it holds a port and a peer's name, and in
 * place of the mesh a hash of it: whoever knows the mesh recognises it, and nobody else learns which it
 * is. Where a peer is, is where its word came from.
 *
 *     question   _<hash>._sub._skein._tcp.local  PTR?
 *     answer     _<hash>._sub._skein._tcp.local  PTR  <peer>._skein._tcp.local
 *                <peer>._skein._tcp.local        SRV  0 0 <port> <peer>.local
 *
 * An answer with a time to live of 0 is a good-bye.
 */
import { createHash } from "node:crypto"
import { decode, encode, type Packet } from "@dnsquery/dns-packet"
import { isPeerKey, type MeshId, type PeerKey } from "../../model/Names.ts"

const service = "_skein._tcp.local"

/** Bytes of a message; what is longer is none of ours. */
export const maxLanMessage = 1_472

/** Of one message: others may answer in one. */
const mostNeighbours = 8

export interface LanWord {
  readonly peer: PeerKey
  /** TCP. */
  readonly port: number
  /** Seconds for which it holds; 0: it is gone. */
  readonly ttl: number
}

export type LanMessage =
  | { readonly kind: "question" }
  | { readonly kind: "answer"; readonly words: ReadonlyArray<LanWord> }

/** What stands for a mesh in the clear: it says nothing to who does not know the mesh already. */
const meshName = (mesh: MeshId): string => {
  const hash = createHash("sha256").update(`skein lan ${mesh}`).digest("hex").slice(0, 32)
  return `_${hash}._sub.${service}`
}

export const encodeQuestion = (mesh: MeshId): Uint8Array =>
  encode({ type: "query", id: 0, flags: 0, questions: [{ type: "PTR", name: meshName(mesh) }] })

/** Authoritative, as all answers of multicast DNS are. */
const authoritative = 0x0400

export const encodeAnswer = (mesh: MeshId, { peer, port, ttl }: LanWord): Uint8Array => {
  const instance = `${peer}.${service}`
  return encode({
    type: "response",
    id: 0,
    flags: authoritative,
    answers: [
      { type: "PTR", name: meshName(mesh), ttl, data: instance },
      { type: "SRV", name: instance, ttl, data: { port, target: `${peer}.local` } }
    ]
  })
}

const parsed = (bytes: Uint8Array): Packet | undefined => {
  try {
    return decode(bytes)
  } catch {
    // From anybody on the LAN: what is no DNS says nothing.
    return undefined
  }
}

/** Undefined: it is about something else, or another mesh. */
export const decodeLanMessage = (bytes: Uint8Array, mesh: MeshId): LanMessage | undefined => {
  if (bytes.length > maxLanMessage) return undefined
  const packet = parsed(bytes)
  const name = meshName(mesh)
  if (packet?.type === "query") {
    const isOurs = packet.questions?.some((it) => it.type === "PTR" && it.name === name) ?? false
    return isOurs ? { kind: "question" } : undefined
  }
  const answers = [...(packet?.answers ?? []), ...(packet?.additionals ?? [])]
  const words: Array<LanWord> = []
  for (const pointer of answers) {
    if (pointer.type !== "PTR" || pointer.name !== name || words.length === mostNeighbours) continue
    const peer = pointer.data.split(".")[0] ?? ""
    const place = answers.find(({ name }) => name === pointer.data)
    if (!isPeerKey(peer) || place?.type !== "SRV") continue
    const { port = 0 } = place.data
    if (port > 0) words.push({ peer, port, ttl: pointer.ttl ?? 0 })
  }
  return words.length === 0 ? undefined : { kind: "answer", words }
}
