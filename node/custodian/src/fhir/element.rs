//! A place in a resource: it knows its FHIRPath name, and the resource knows what was carried.
//!
//! Reading a value through an [`Element`] marks it as carried; what is left over at the end is
//! named in the record ([`Element::left_over`]). Forgetting an element is thereby visible by
//! construction, and every refusal names its element.
//!
//! Deliberately absent: what the elements mean.

use std::cell::RefCell;
use std::collections::HashSet;

use custos_proof::cbor::List;

use super::json::Json;
use super::{Refusal, RefusalCode};

/// Which leaves of a resource were carried, by the address of the value in the tree.
#[derive(Debug, Default)]
pub(crate) struct Carried(RefCell<HashSet<*const Json>>);

/// A value in a resource, with its name.
#[derive(Debug, Clone)]
pub(crate) struct Element<'a> {
    json: &'a Json,
    name: String,
    carried: &'a Carried,
}

impl<'a> Element<'a> {
    /// The resource itself, named by its type.
    pub(crate) fn resource(json: &'a Json, resource_type: &str, carried: &'a Carried) -> Self {
        Self { json, name: resource_type.into(), carried }
    }

    /// The FHIRPath name: `AuditEvent.agent[1].who`.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The name of a child, there or not.
    pub(crate) fn name_of(&self, child: &str) -> String {
        format!("{}.{child}", self.name)
    }

    /// Refuses the resource because of this element.
    pub(crate) fn refuse(&self, code: RefusalCode, why: impl Into<String>) -> Refusal {
        Refusal { code, element: self.name.clone(), message: why.into() }
    }

    /// Refuses the resource because of a child that is not there.
    pub(crate) fn refuse_child(&self, child: &str, code: RefusalCode, why: impl Into<String>) -> Refusal {
        Refusal { code, element: self.name_of(child), message: why.into() }
    }

    fn wrong_type(&self, expected: &str) -> Refusal {
        self.refuse(RefusalCode::WrongType, format!("expected {expected}, found {}", self.json.type_name()))
    }

    /// This, if it is an object.
    pub(crate) fn object(self) -> Result<Self, Refusal> {
        match self.json {
            Json::Object(_) => Ok(self),
            _ => Err(self.wrong_type("an object")),
        }
    }

    /// A child with one value.
    pub(crate) fn child(&self, name: &str) -> Option<Element<'a>> {
        let json = self.json.member(name)?;
        Some(Element { json, name: self.name_of(name), carried: self.carried })
    }

    /// The value itself, without marking it.
    pub(crate) fn json(&self) -> &'a Json {
        self.json
    }

    /// A child as JSON, without marking it.
    pub(crate) fn json_child(&self, name: &str) -> Option<&'a Json> {
        self.json.member(name)
    }

    /// A child that is an object.
    pub(crate) fn child_object(&self, name: &str) -> Result<Option<Element<'a>>, Refusal> {
        self.child(name).map(Element::object).transpose()
    }

    /// A child that has to be there.
    pub(crate) fn required(&self, name: &str) -> Result<Element<'a>, Refusal> {
        self.child(name)
            .ok_or_else(|| self.refuse_child(name, RefusalCode::MissingElement, "FHIR demands this element"))
    }

    /// The members of a repeating child; none if it is absent.
    pub(crate) fn list(&self, name: &str, max: usize) -> Result<Vec<Element<'a>>, Refusal> {
        let Some(child) = self.child(name) else { return Ok(Vec::new()) };
        match child.json {
            Json::Array(values) if values.len() > max => Err(child.refuse(
                RefusalCode::TooLarge,
                format!("{} members, at most {max} can be recorded in one item", values.len()),
            )),
            Json::Array(values) => {
                let member =
                    |(n, json)| Element { json, name: format!("{}[{n}]", child.name), carried: self.carried };
                Ok(values.iter().enumerate().map(member).collect())
            }
            _ => Err(child.wrong_type("an array")),
        }
    }

    /// The members of a repeating child, each made into a value; those that come to nothing are left over.
    pub(crate) fn values<T, const MAX: usize>(
        &self,
        name: &str,
        read: impl Fn(&Element<'a>) -> Result<Option<T>, Refusal>,
    ) -> Result<List<T, MAX>, Refusal> {
        let values: Vec<T> = self
            .list(name, MAX)?
            .iter()
            .filter_map(|element| read(element).transpose())
            .collect::<Result<_, _>>()?;
        Ok(List::new(values).unwrap_or_default())
    }

    /// The text, without marking it.
    pub(crate) fn peek(&self) -> Result<&'a str, Refusal> {
        self.json.text().ok_or_else(|| self.wrong_type("a string"))
    }

    /// The text of a child, without marking it; nothing if it is absent or no text.
    pub(crate) fn peek_child(&self, name: &str) -> Option<&'a str> {
        self.json.member(name).and_then(Json::text)
    }

    /// The text made into a value, and marked as carried unless it comes to nothing.
    pub(crate) fn text<T>(&self, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Refusal> {
        let value = read(self.peek()?);
        if value.is_some() {
            self.mark();
        }
        Ok(value)
    }

    /// As [`Element::text`], for a child that may be absent.
    pub(crate) fn child_text<T>(
        &self,
        name: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Refusal> {
        self.child(name).map_or(Ok(None), |child| child.text(read))
    }

    /// A child that is true or false.
    pub(crate) fn child_bool(&self, name: &str) -> Result<Option<bool>, Refusal> {
        let Some(child) = self.child(name) else { return Ok(None) };
        match child.json {
            Json::Bool(value) => {
                child.mark();
                Ok(Some(*value))
            }
            _ => Err(child.wrong_type("true or false")),
        }
    }

    /// Notes that this value is carried.
    pub(crate) fn mark(&self) {
        self.carried.0.borrow_mut().insert(self.json);
    }

    /// Notes that this value and all below it are carried elsewhere.
    pub(crate) fn mark_all(&self) {
        mark_all(self.json, &mut self.carried.0.borrow_mut());
    }

    /// The names of what was not carried: of a subtree of which nothing was, only the top.
    pub(crate) fn left_over(&self) -> Vec<String> {
        let carried = self.carried.0.borrow();
        let mut names = Vec::new();
        if left_over(self.json, &self.name, &carried, &mut names) == Rest::Nothing && has_content(self.json) {
            names.push(self.name.clone());
        }
        names
    }
}

fn mark_all(json: &Json, carried: &mut HashSet<*const Json>) {
    match json {
        Json::Array(values) => values.iter().for_each(|value| mark_all(value, carried)),
        Json::Object(members) => members.iter().for_each(|(_, value)| mark_all(value, carried)),
        Json::Null => {}
        Json::Bool(_) | Json::Number(_) | Json::Text(_) => {
            carried.insert(json);
        }
    }
}

fn has_content(json: &Json) -> bool {
    match json {
        Json::Null => false,
        Json::Array(values) => values.iter().any(has_content),
        Json::Object(members) => members.iter().any(|(_, value)| has_content(value)),
        Json::Bool(_) | Json::Number(_) | Json::Text(_) => true,
    }
}

/// How much of a subtree was carried.
#[derive(PartialEq, Eq)]
enum Rest {
    /// Nothing: the caller names it, or something above it.
    Nothing,
    /// Something; what was not is already named.
    Something,
}

fn left_over(json: &Json, name: &str, carried: &HashSet<*const Json>, names: &mut Vec<String>) -> Rest {
    let below: Vec<(String, &Json)> = match json {
        Json::Array(values) => {
            values.iter().enumerate().map(|(n, value)| (format!("{name}[{n}]"), value)).collect()
        }
        Json::Object(members) => {
            members.iter().map(|(key, value)| (format!("{name}.{key}"), value)).collect()
        }
        _ if carried.contains(&core::ptr::from_ref(json)) => return Rest::Something,
        _ => return Rest::Nothing,
    };
    let mut uncarried = Vec::new();
    let mut inner = Vec::new();
    let mut something = false;
    for (name, value) in below {
        match left_over(value, &name, carried, &mut inner) {
            Rest::Something => something = true,
            Rest::Nothing if has_content(value) => uncarried.push(name),
            Rest::Nothing => {}
        }
    }
    if !something {
        return Rest::Nothing;
    }
    names.append(&mut uncarried);
    names.append(&mut inner);
    Rest::Something
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_over_is_named_at_the_top() {
        let json = Json::parse(br#"{"resourceType":"X","a":{"b":"1","c":"2"},"d":[{"e":"3"},{"e":"4","f":[5,6]}],"g":{"h":[{"i":true}]},"j":[],"k":null}"#).unwrap();
        let carried = Carried::default();
        let root = Element::resource(&json, "X", &carried);
        root.child("resourceType").unwrap().mark();
        root.child("a").unwrap().child_text("b", |text| Some(text.len())).unwrap();
        root.list("d", 9).unwrap()[1].child_text("e", |text| Some(text.len())).unwrap();
        assert_eq!(root.left_over(), ["X.g", "X.a.c", "X.d[0]", "X.d[1].f"]);
        root.mark_all();
        assert_eq!(root.left_over(), [""; 0]);
    }
}
