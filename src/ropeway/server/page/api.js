// The one way to the server. A refusal is an Error whose text says what was not done.

export async function api(path, body) {
  const asked = body === undefined ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let response;
  try {
    response = await fetch(path, asked);
  } catch {
    throw new Error("The server does not answer; it is unknown what was done.");
  }
  if (response.status === 204) return null;
  const text = await response.text();
  let data = null;
  try {
    data = JSON.parse(text);
  } catch {
    // not ours: the status says enough
  }
  if (!response.ok) throw new Error(data?.detail ?? `The server answered ${response.status}.`);
  return data;
}
