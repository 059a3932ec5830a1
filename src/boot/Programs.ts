/**
 * The scripts that the build makes of what `skein up` runs, in dist/up/. Their names have a hash of their
 * text in them, which only the build knows.
 */
declare const skeinCommandScript: string | undefined
declare const skeinRequestScript: string | undefined

/** File names. Empty where the sources run as they are. */
export const programs = {
  command: typeof skeinCommandScript === "string" ? skeinCommandScript : "",
  request: typeof skeinRequestScript === "string" ? skeinRequestScript : ""
}
