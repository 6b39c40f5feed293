// Microphone and camera. A refusal becomes DeviceError, whose message is a sentence that says what to do.

export class DeviceError extends Error {
  constructor(message, cause) {
    super(message, { cause });
    this.name = "DeviceError";
  }
}

const CAMERA = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 15, max: 30 } };

// `raw` leaves the sound as it comes: no echo cancellation, noise suppression or gain control.
export async function openMicrophone({ raw }) {
  const processed = !raw;
  const audio = {
    echoCancellation: processed,
    noiseSuppression: processed,
    autoGainControl: processed,
    channelCount: 1,
  };
  return (await open({ audio }, "microphone")).getAudioTracks()[0];
}

export async function openCamera() {
  return (await open({ video: CAMERA }, "camera")).getVideoTracks()[0];
}

async function open(constraints, device) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new DeviceError(`Browsers give a ${device} only to pages with a secure address (https). ${otherwise(device)}`);
  }
  try {
    return await navigator.mediaDevices.getUserMedia(constraints);
  } catch (error) {
    throw new DeviceError(`${sentence(error.name, device)} ${otherwise(device)}`, error);
  }
}

function sentence(name, device) {
  switch (name) {
    case "NotAllowedError":
    case "SecurityError":
      return `The ${device} is blocked for this page. Allow it in the browser's address bar and try again.`;
    case "NotFoundError":
    case "OverconstrainedError":
      return `No ${device} was found. Connect one and try again.`;
    case "NotReadableError":
    case "AbortError":
      return `The ${device} is in use by another program. Close that and try again.`;
    default:
      return `The ${device} could not be opened.`;
  }
}

function otherwise(device) {
  return device === "microphone" ? "You can also type." : "The call goes on without it.";
}
