// SPDX-License-Identifier: Apache-2.0
//
// What vaccelctl and an agent say to each other about tenants and the configuration; and the worker's sign of life.
#include "wire/codec.h"

namespace vaccel::wire {

std::span<const std::byte> Encoder::encode(const Ping&) {
  auto& flat = builder_->flat;
  flat.Clear();
  return finish(flat, schema::CreatePing(flat));
}

std::span<const std::byte> Encoder::encode(const SetTenant& set) {
  auto& flat = builder_->flat;
  flat.Clear();
  const auto name = put_text(flat, set.name, kMaxNameBytes);
  const auto settings = put_text(flat, set.settings, kMaxSettingsBytes);
  return finish(flat, schema::CreateSetTenant(flat, name, settings, set.remove));
}

std::span<const std::byte> Encoder::encode(const ReadTenant& read) {
  auto& flat = builder_->flat;
  flat.Clear();
  const auto name = put_text(flat, read.name, kMaxNameBytes);
  return finish(flat, schema::CreateReadTenant(flat, name));
}

std::span<const std::byte> Encoder::encode(const TenantSettings& tenant) {
  auto& flat = builder_->flat;
  flat.Clear();
  const auto settings = put_text(flat, tenant.settings, kMaxSettingsBytes);
  return finish(flat, schema::CreateTenantSettings(flat, settings));
}

std::span<const std::byte> Encoder::encode(const Reload&) {
  auto& flat = builder_->flat;
  flat.Clear();
  return finish(flat, schema::CreateReload(flat));
}

std::span<const std::byte> Encoder::encode(const Reloaded& reloaded) {
  auto& flat = builder_->flat;
  flat.Clear();
  const auto notes = put_text(flat, reloaded.notes, kMaxSettingsBytes);
  return finish(flat, schema::CreateReloaded(flat, notes));
}

std::span<const std::byte> Encoder::encode(const LiftQuarantine& lift) {
  auto& flat = builder_->flat;
  flat.Clear();
  const auto subject = put_text(flat, lift.subject, kMaxTextBytes);
  return finish(flat, schema::CreateLiftQuarantine(flat, subject));
}

Result<Ping> decode_ping(std::span<const std::byte> body) {
  return with_body<schema::Ping>(body, "ping", [](const schema::Ping&) -> Result<Ping> { return Ping{}; });
}

Result<SetTenant> decode_set_tenant(std::span<const std::byte> body) {
  return with_body<schema::SetTenant>(body, "set-tenant", [](const schema::SetTenant& source) {
    Checker check;
    return check.done(SetTenant{check.text(source.name(), "the tenant's name", kMaxNameBytes),
                                check.text(source.settings(), "the settings", kMaxSettingsBytes),
                                source.remove()});
  });
}

Result<ReadTenant> decode_read_tenant(std::span<const std::byte> body) {
  return with_body<schema::ReadTenant>(body, "read-tenant", [](const schema::ReadTenant& source) {
    Checker check;
    return check.done(ReadTenant{check.text(source.name(), "the tenant's name", kMaxNameBytes)});
  });
}

Result<TenantSettings> decode_tenant_settings(std::span<const std::byte> body) {
  return with_body<schema::TenantSettings>(body, "tenant-settings", [](const schema::TenantSettings& source) {
    Checker check;
    return check.done(TenantSettings{check.text(source.settings(), "the settings", kMaxSettingsBytes)});
  });
}

Result<Reload> decode_reload(std::span<const std::byte> body) {
  return with_body<schema::Reload>(body, "reload",
                                   [](const schema::Reload&) -> Result<Reload> { return Reload{}; });
}

Result<Reloaded> decode_reloaded(std::span<const std::byte> body) {
  return with_body<schema::Reloaded>(body, "reloaded", [](const schema::Reloaded& source) {
    Checker check;
    return check.done(Reloaded{check.text(source.notes(), "the notes", kMaxSettingsBytes)});
  });
}

Result<LiftQuarantine> decode_lift_quarantine(std::span<const std::byte> body) {
  return with_body<schema::LiftQuarantine>(body, "lift-quarantine", [](const schema::LiftQuarantine& source) {
    Checker check;
    return check.done(LiftQuarantine{check.text(source.subject(), "the subject", kMaxTextBytes)});
  });
}

}  // namespace vaccel::wire
