/**
 * A private key under a passphrase, as text that may lie anywhere: scrypt makes a key of the passphrase
 * (128 MiB and about half a second for each guess), AES-256-GCM encrypts with it. What the text says in
 * the clear (whose key it is, and how it was sealed) is authenticated too.
 */
import { createCipheriv, createDecipheriv, randomBytes, scrypt } from "node:crypto"
import { Data, Effect, Either, Schema } from "effect"
import { MeshId } from "../../schema/NamesSchema.ts"
import { Bytes, decodeCbor, encodeCbor } from "../trust/Cbor.ts"
import { meshIdOf, type SigningKey, seedLength, signingKeyFromSeed } from "../trust/SigningKey.ts"

export class SealedKeyError extends Data.TaggedError("SealedKeyError")<{
  readonly code: "not_sealed" | "wrong_passphrase" | "weak_passphrase" | "too_dear"
  readonly message: string
}> {}

/** Characters. Shorter ones are found, whatever each guess costs. */
export const shortestPassphrase = 12

export interface SealingCost {
  /** Memory and time: 2 to the power of this, times 1 KiB. */
  readonly logN: number
  readonly r: number
  readonly p: number
}
const defaultCost: SealingCost = { logN: 17, r: 8, p: 1 }
/** A file says how dear it is, and must not be able to take a host's memory. */
const maxLogN = 20

const keyLength = 32
const nonceLength = 12
const tagLength = 16
const saltLength = 16
const lineLength = 64

const begin = "-----BEGIN SKEIN ROOT KEY-----"
const end = "-----END SKEIN ROOT KEY-----"

const Sealed = Schema.Struct({
  version: Schema.Literal(1),
  mesh: MeshId,
  logN: Schema.Int.pipe(Schema.between(10, maxLogN)),
  r: Schema.Int.pipe(Schema.between(1, 16)),
  p: Schema.Int.pipe(Schema.between(1, 16)),
  salt: Bytes,
  nonce: Bytes,
  sealed: Bytes
})

const clearPart = (mesh: MeshId, { logN, p, r }: SealingCost): Buffer =>
  Buffer.from(`skein root key 1 ${mesh} scrypt ${logN} ${r} ${p}\n`)

const stretch = (
  passphrase: string,
  salt: Uint8Array,
  { logN, p, r }: SealingCost
): Effect.Effect<Buffer> =>
  Effect.async((resume) => {
    const N = 2 ** logN
    const maxmem = 256 * N * r
    scrypt(passphrase.normalize("NFKC"), salt, keyLength, { N, r, p, maxmem }, (error, key) =>
      resume(error === null ? Effect.succeed(key) : Effect.die(error))
    )
  })

/** `cost`: less only for tests. */
export const sealRootKey = (
  key: SigningKey,
  passphrase: string,
  cost: SealingCost = defaultCost
): Effect.Effect<string, SealedKeyError> =>
  Effect.gen(function* () {
    if (passphrase.length < shortestPassphrase) {
      return yield* new SealedKeyError({
        code: "weak_passphrase",
        message: `a passphrase of ${passphrase.length} characters would be found: take ${shortestPassphrase} or more`
      })
    }
    const mesh = meshIdOf(key.publicKey.raw)
    const [salt, nonce] = [randomBytes(saltLength), randomBytes(nonceLength)]
    const cipher = createCipheriv("aes-256-gcm", yield* stretch(passphrase, salt, cost), nonce)
    cipher.setAAD(clearPart(mesh, cost))
    const sealed = Buffer.concat([
      cipher.update(key.raw.subarray(0, seedLength)),
      cipher.final(),
      cipher.getAuthTag()
    ])
    const text = Buffer.from(
      encodeCbor({ version: 1, mesh, ...cost, salt, nonce, sealed })
    ).toString("base64")
    const lines = text.match(new RegExp(`.{1,${lineLength}}`, "g")) ?? []
    return `${[begin, ...lines, end].join("\n")}\n`
  })

const notSealed = (why: string) =>
  new SealedKeyError({
    code: "not_sealed",
    message: `this is no root key as \`skein root export\` writes it: ${why}`
  })

const readSealed = (text: string): Either.Either<typeof Sealed.Type, SealedKeyError> => {
  const from = text.indexOf(begin)
  const to = text.indexOf(end)
  if (from === -1 || to < from) return Either.left(notSealed(`it has no ${begin} … ${end}`))
  const inner = text.slice(from + begin.length, to).replace(/\s+/g, "")
  const bytes = new Uint8Array(Buffer.from(inner, "base64"))
  return Either.mapLeft(decodeCbor(Sealed, bytes, "its content"), ({ message }) =>
    notSealed(message)
  )
}

/** Which mesh's root it says it is; proven only when it has been opened. */
export const sealedMesh = (text: string): Either.Either<MeshId, SealedKeyError> =>
  Either.map(readSealed(text), ({ mesh }) => mesh)

export const openRootKey = (
  text: string,
  passphrase: string
): Effect.Effect<SigningKey, SealedKeyError> =>
  Effect.gen(function* () {
    const { mesh, nonce, salt, sealed, ...cost } = yield* readSealed(text)
    if (nonce.length !== nonceLength || sealed.length !== seedLength + tagLength) {
      return yield* notSealed("its parts have the wrong lengths")
    }
    const key = yield* stretch(passphrase, salt, cost)
    const seed = Either.try(() => {
      const decipher = createDecipheriv("aes-256-gcm", key, nonce)
      decipher.setAAD(clearPart(mesh, cost))
      decipher.setAuthTag(sealed.subarray(seedLength))
      return Buffer.concat([decipher.update(sealed.subarray(0, seedLength)), decipher.final()])
    })
    const opened = Either.map(seed, (bytes) => signingKeyFromSeed(new Uint8Array(bytes)))
    if (Either.isLeft(opened) || meshIdOf(opened.right.publicKey.raw) !== mesh) {
      return yield* new SealedKeyError({
        code: "wrong_passphrase",
        message: "the passphrase is another one, or the file was altered"
      })
    }
    return opened.right
  })
