/** Private keys on disk: PEM in a file that nobody else can read. */
import { statSync } from "node:fs"
import { Effect } from "effect"
import { decodePem, encodePem, type SigningKey } from "../trust/SigningKey.ts"
import { attempt, corrupted, DataDirError, readPrivateFile, writePrivateFile } from "./KeyFile.ts"

const maxKeyFileBytes = 4_096
const othersMask = 0o077

/** A key in PEM; undefined when the file does not exist. */
export const readKeyFile = (path: string): Effect.Effect<SigningKey | undefined, DataDirError> =>
  Effect.gen(function* () {
    const bytes = yield* readPrivateFile(path, maxKeyFileBytes)
    if (bytes === undefined) return undefined
    const mode = yield* attempt(path, () => statSync(path).mode)
    // Windows has no such bits and reports all files as open to everybody.
    if (process.platform !== "win32" && (mode & othersMask) !== 0) {
      return yield* new DataDirError({
        code: "too_open",
        path,
        message: `the private key ${path} can be read by other users of this host (mode ${(mode & 0o777).toString(8)}); run: chmod 600 ${path}`
      })
    }
    return yield* Effect.try({
      try: () => decodePem(new TextDecoder().decode(bytes)),
      catch: (cause) => corrupted(path, cause instanceof Error ? cause.message : String(cause))
    })
  })

export const writeKeyFile = (path: string, key: SigningKey): Effect.Effect<void, DataDirError> =>
  writePrivateFile(path, new TextEncoder().encode(encodePem(key)))
