/**
 * Where to knock when the catalogue cannot tell: the addresses from the token this node joined
 * with, kept beside its identity. They only matter between joining and the first catalogue, and
 * after the catalogue's file was lost; until they are no longer needed they cost nothing.
 */
import { join } from "node:path"
import { Effect, Either, Schema } from "effect"
import type { DataDirError } from "../mesh/keys/KeyFile.ts"
import { readPrivateFile, writePrivateFile } from "../mesh/keys/KeyFile.ts"
import { isPeerKey, type PeerKey } from "../model/Names.ts"

/** Addresses by peer, without the /p2p suffix. */
export type Bootstrap = ReadonlyMap<PeerKey, ReadonlyArray<string>>

const File = Schema.parseJson(Schema.Array(Schema.String.pipe(Schema.maxLength(512))))
const maxBytes = 16 * 1024
const pathIn = (dataDir: string): string => join(dataDir, "bootstrap.json")

/** Multiaddrs that end in /p2p/<peer>. What does not is left out: it names nobody. */
export const parseBootstrap = (addresses: ReadonlyArray<string>): Bootstrap => {
  const found = new Map<PeerKey, Array<string>>()
  for (const address of addresses) {
    const at = address.lastIndexOf("/p2p/")
    const peer = address.slice(at + "/p2p/".length)
    if (at === -1 || !isPeerKey(peer)) continue
    const known = found.get(peer)
    if (known === undefined) found.set(peer, [address.slice(0, at)])
    else known.push(address.slice(0, at))
  }
  return found
}

export const saveBootstrap = (
  dataDir: string,
  addresses: ReadonlyArray<string>
): Effect.Effect<void, DataDirError> =>
  writePrivateFile(pathIn(dataDir), Buffer.from(`${JSON.stringify(addresses)}\n`))

export const loadBootstrap = (dataDir: string): Effect.Effect<Bootstrap, DataDirError> =>
  Effect.gen(function* () {
    const bytes = yield* readPrivateFile(pathIn(dataDir), maxBytes)
    if (bytes === undefined) return new Map()
    const addresses = Schema.decodeEither(File)(Buffer.from(bytes).toString("utf8"))
    if (Either.isRight(addresses)) return parseBootstrap(addresses.right)
    yield* Effect.logWarning(
      `${pathIn(dataDir)} is not readable and is ignored; the catalogue names the other nodes`
    )
    return new Map()
  })
